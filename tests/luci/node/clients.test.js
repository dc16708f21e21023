'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const clients = load('wgp2p/clients');
const profiles = load('wgp2p/profile');

const KEY = letter => letter.repeat(42) + 'A=';
const SERVER = KEY('S'), PHONE = KEY('P'), LAPTOP = KEY('L'), DEVICE = KEY('D'), BEACON = KEY('B'), PRIVATE = KEY('X');

function network(more = []) {
	return [
		{ '.type': 'interface', '.name': 'lan', proto: 'static', ipaddr: [ '192.168.1.1/24' ] },
		{ '.type': 'interface', '.name': 'wg0', proto: 'wireguard', listen_port: '51820', private_key: PRIVATE,
			addresses: [ '10.7.0.2/24', 'fd07::2/64' ] },
		{ '.type': 'wireguard_wg0', '.name': 'cfg1', description: 'vps', public_key: SERVER, endpoint_host: '198.51.100.10',
			allowed_ips: [ '10.7.0.1/32', 'fd07::1/128' ] },
		{ '.type': 'wireguard_wg0', '.name': 'cfg2', description: 'phone', public_key: PHONE, allowed_ips: [ '10.7.0.3/32' ] },
		...more
	];
}

function wgp2p(more = []) {
	return [
		{ '.type': 'wgp2p', '.name': 'main', enabled: '1' },
		{ '.type': 'subscriber', '.name': 'vps', interface: 'wg0', publisher: '10.7.0.1' },
		{ '.type': 'peer', '.name': 'cfg9', name: 'phone', public_key: PHONE, listen_port: '36906',
			profile_endpoint: '203.0.113.7:51820' },
		...more
	];
}

function status(more = {}) {
	return { wan: { mtu: 1492 }, portmaps: [], stale_profiles: [], subscribers: [ { interface: 'wg0', problem: '',
		publishers: [ { name: 'office', you: '203.0.113.99:51820' }, { name: 'vps', you: '203.0.113.7:51820' } ],
		peers: [ { public_key: SERVER, name: 'vps', endpoint: '198.51.100.10:51821' },
			{ public_key: PHONE, name: 'phone', endpoint: null } ] } ], ...more };
}

const place = (...files) => clients.places(files[0] ?? network(), files[1] ?? wgp2p())[0];
const rows = (more = {}) => clients.clients(place(), more.network ?? network(), more.wgp2p ?? wgp2p(),
	more.status === undefined ? status() : more.status, more.made ?? {});

test('a place is an interface that a subscriber follows', () => {
	const found = place();

	assert.equal(found.interface, 'wg0');
	assert.deepEqual(found.publishers, [ '10.7.0.1' ]);
	assert.equal(found.servers[0].public_key, SERVER);
	assert.equal(found.subscriber, 'vps');
	assert.deepEqual(clients.places(network(), []), []);
	assert.deepEqual(clients.places([], wgp2p()), []);
	assert.deepEqual(clients.places(network(), [ { '.type': 'subscriber', '.name': 'vps', interface: 'wg0', publisher: '10.7.0.1', enabled: '0' } ]), []);
	assert.equal(clients.places(network(), [ { '.type': 'subscriber', '.name': 'cfg7', '.anonymous': true, interface: 'wg0', publisher: '10.7.0.1' } ])[0].subscriber, '@subscriber[0]');
});

test('the public server is the peer with the longest allowed IP', () => {
	const wide = { '.type': 'wireguard_wg0', '.name': 'cfg3', public_key: LAPTOP, allowed_ips: '10.7.0.0/16' };

	assert.equal(place([ wide, ...network() ]).servers[0].public_key, SERVER);
	assert.equal(place([ ...network(), wide ]).servers[0].public_key, SERVER);
	assert.equal(place(network().filter(one => one['.name'] != 'cfg1').concat(wide)).servers[0].public_key, LAPTOP);
});

test('clients are the peers but the servers, by whichever name there is', () => {
	const files = network([
		{ '.type': 'wireguard_wg0', '.name': 'cfg3', description: '<script>alert(1)</script>', public_key: LAPTOP, allowed_ips: '10.7.0.4/32' },
		{ '.type': 'wireguard_wg0', '.name': 'cfg4', description: 'again', public_key: LAPTOP },
		{ '.type': 'wireguard_wg0', '.name': 'cfg5', description: 'no key', public_key: 'x' },
		{ '.type': 'wireguard_wg1', '.name': 'cfg6', public_key: DEVICE } ]);
	const found = rows({ network: files, status: status({ stale_profiles: [ 'cli-laptop' ] }),
		made: { [LAPTOP]: 'cli-laptop' } });

	assert.deepEqual(found.map(row => row.name), [ 'phone', '<script>alert(1)</script>' ]);
	assert.deepEqual(found.map(row => row.listenPort), [ 36906, null ]);
	assert.deepEqual(found.map(row => row.commandLine), [ null, 'cli-laptop' ]);
	assert.deepEqual(found.map(row => row.stale), [ false, true ]);
	assert.deepEqual(found.map(row => row.running), [ true, false ]);
	assert.equal(rows({ status: null })[0].running, null);
});

test('a name is checked', () => {
	for (const good of [ 'a', 'phone-2', '_x.y', 'x'.repeat(32) ])
		clients.checkName(good, rows(), wgp2p());
	for (const bad of [ '', '.x', '-x', 'x'.repeat(33), 'a b', 'a/b', "a'b", '<b>', '\u202eabc', 'ü', 'phone' ])
		assert.throws(() => clients.checkName(bad, rows(), wgp2p()), Error, bad);
	clients.checkName('phone', rows(), wgp2p(), PHONE);
	assert.throws(() => clients.checkName('desk', rows({ made: { [PHONE]: 'desk' } }), wgp2p()), /already/);
	assert.throws(() => clients.checkName('vps2', [], wgp2p([ { '.type': 'peer', name: 'vps2', public_key: SERVER } ])));
});

test('a new client gets the next address, and a port of its own', () => {
	const got = clients.allot(place(), network(), wgp2p([ { '.type': 'peer', name: 'x', public_key: LAPTOP, listen_port: '36907' } ]));

	assert.deepEqual(got, { addresses: [ '10.7.0.4', 'fd07::3' ], listenPort: 36908, routed: false });

	const files = network();

	files[1].addresses = [ '10.7.0.253/24' ];
	files[2].allowed_ips = '10.7.0.0/24';
	assert.deepEqual(clients.allot(place(files, wgp2p([ { '.type': 'subscriber', '.name': 'b', interface: 'wg0', publisher: '10.7.0.254' } ])),
		files, wgp2p()).addresses, [ '10.7.0.2' ]);
});

test('an interface with a single address takes the network of its server', () => {
	const files = network();

	files[1].addresses = '10.7.0.2/32';
	files[2].allowed_ips = '10.7.0.0/24';
	assert.deepEqual(clients.allot(place(files), files, wgp2p()), { addresses: [ '10.7.0.4' ], listenPort: 36907, routed: true });
	files[2].allowed_ips = '10.7.0.1/32';
	assert.throws(() => clients.allot(place(files), files, wgp2p()), /No address is free/);
});

test('no address left', () => {
	const files = network();

	files[1].addresses = [ '10.7.0.2/30' ];
	assert.throws(() => clients.allot(place(files), files, wgp2p()), /No address is free/);
});

test('adding writes what WireGuard and wgp2p need, and the private key only when it is asked for', () => {
	const client = { name: 'tablet', key: LAPTOP, addresses: [ '10.7.0.4', 'fd07::3' ], listenPort: 36907, routed: true,
		privateKey: '', profileEndpoint: '203.0.113.7:51820' };

	assert.deepEqual(clients.add(place(), client), [
		{ op: 'add', config: 'network', type: 'wireguard_wg0', values: { description: 'tablet', public_key: LAPTOP,
			allowed_ips: [ '10.7.0.4/32', 'fd07::3/128' ], private_key: null, route_allowed_ips: '1' } },
		{ op: 'add', config: 'wgp2p', type: 'peer', values: { name: 'tablet', public_key: LAPTOP, listen_port: '36907',
			profile_endpoint: '203.0.113.7:51820' } } ]);
	assert.equal(clients.add(place(), { ...client, privateKey: PRIVATE })[0].values.private_key, PRIVATE);
});

test('renaming and removing follow every section of the key, and the lists of devices', () => {
	const files = wgp2p([ { '.type': 'peer', '.name': 'cfg11', name: 'cabin', public_key: DEVICE, client: [ 'phone', 'other' ] } ]);
	const [ phone ] = rows();

	assert.deepEqual(clients.rename(place(), network(), files, phone, 'mobile'), [
		{ op: 'set', config: 'network', section: 'cfg2', values: { description: 'mobile' } },
		{ op: 'set', config: 'wgp2p', section: 'cfg9', values: { name: 'mobile' } },
		{ op: 'set', config: 'wgp2p', section: 'cfg11', values: { client: [ 'mobile', 'other' ] } } ]);
	assert.deepEqual(clients.remove(place(), network(), files, phone), [
		{ op: 'set', config: 'wgp2p', section: 'cfg11', values: { client: [ 'other' ] } },
		{ op: 'remove', config: 'network', section: 'cfg2' },
		{ op: 'remove', config: 'wgp2p', section: 'cfg9' } ]);
	files.push({ '.type': 'peer', '.name': 'cfg12', name: 'boat', public_key: LAPTOP, client: [ PHONE, 'other' ] });
	assert.deepEqual(clients.remove(place(), network(), files, phone)[1],
		{ op: 'set', config: 'wgp2p', section: 'cfg12', values: { client: [ 'other' ] } });
	assert.deepEqual(clients.rename(place(), network(), [], phone, 'mobile')[1],
		{ op: 'add', config: 'wgp2p', type: 'peer', values: { name: 'mobile', public_key: PHONE } });
	files[3].client = 'phone';
	assert.throws(() => clients.remove(place(), network(), files, phone), /cabin/);
});

test('what network says and WireGuard does not do is told', () => {
	assert.deepEqual(clients.pending(place(), network(), status(), rows()), { missing: [], left: [] });
	assert.deepEqual(clients.pending(place(), network(), null, rows({ status: null })), { missing: [], left: [] });

	const now = status();

	now.subscribers[0].peers[1] = { public_key: LAPTOP, name: 'gone' };
	assert.deepEqual(clients.pending(place(), network(), now, rows({ status: now })), { missing: [ 'phone' ], left: [ 'gone' ] });
	now.subscribers[0].problem = 'no such interface';
	assert.deepEqual(clients.pending(place(), network(), now, rows({ status: now })), { missing: [], left: [] });
	now.subscribers[0].peers = [];
	assert.equal(rows({ status: now })[0].running, null);
});

test('this device from outside: a mapping that was seen to be open, else as the profile’s server sees it', () => {
	const mapped = (verdict, external) => status({ portmaps: [ { interface: 'wg0', mappings: [
		{ forward: '192.168.1.9:51820', verdict: 'open', external: '203.0.113.7:40001' }, { forward: null, verdict, external } ] } ] });

	assert.equal(clients.deviceEndpoint(place(), status()), '203.0.113.7:51820');
	assert.equal(clients.deviceEndpoint(place(), mapped('open', '203.0.113.7:40000')), '203.0.113.7:40000');
	assert.equal(clients.deviceEndpoint(place(), mapped('open to this server', '203.0.113.7:40000')), '203.0.113.7:40000');
	assert.equal(clients.deviceEndpoint(place(), mapped('filtered', '203.0.113.7:40000')), '203.0.113.7:51820');
	assert.equal(clients.deviceEndpoint(place(), mapped('open', '?:40000')), '203.0.113.7:51820');
	assert.equal(clients.deviceEndpoint(place(), null), '');
});

test('the server: its name, and the port that WireGuard uses now', () => {
	const named = wgp2p();

	assert.equal(clients.serverEndpoint(place(), status()), '198.51.100.10:51821');
	assert.equal(clients.serverEndpoint(place(), null), '198.51.100.10:51820');
	named[1].server_host = 'vpn.example.org';
	assert.equal(clients.serverEndpoint(place(network(), named), status()), 'vpn.example.org:51821');

	const files = network();

	files[2].endpoint_host = '2001:db8::1';
	files[2].endpoint_port = '4500';
	assert.equal(clients.serverEndpoint(place(files), null), '[2001:db8::1]:4500');
	delete files[2].endpoint_host;
	assert.equal(clients.serverEndpoint(place(files), null), '');
	files[2].endpoint_host = undefined;
	const now = status();
	now.subscribers[0].peers[0].endpoint = '[2001:db8::7]:51820';
	assert.equal(clients.serverEndpoint(place(files), now), '[2001:db8::7]:51820');
});

test('lan and MTU', () => {
	const lan = (ipaddr, netmask) => clients.lan([ { '.type': 'interface', '.name': 'lan', ipaddr, netmask } ]);

	assert.deepEqual(lan('192.168.1.1', '255.255.255.0'), [ '192.168.1.0/24' ]);
	assert.deepEqual(lan('192.168.1.1'), [ '192.168.1.0/24' ]);
	assert.deepEqual(lan([ '192.168.1.1/16', '10.0.0.1/8' ]), [ '192.168.0.0/16', '10.0.0.0/8' ]);
	assert.deepEqual(lan('192.168.1.1', '255.0.255.0'), []);
	assert.deepEqual(lan('nonsense'), []);
	assert.deepEqual(clients.lan([]), []);
	assert.deepEqual([ 1500, 1492, 1300, 9000, null ].map(mtu => clients.mtu({ wan: { mtu } })), [ 1420, 1412, 1280, 1420, null ]);
	assert.equal(clients.mtu(null), null);
});

test('a recipe makes a profile, and that text gives the recipe back', () => {
	const recipe = clients.recipe(place(), network(), status(), { addresses: [ '10.7.0.4/32' ], listenPort: 36907 });

	recipe.privateKey = PRIVATE;
	recipe.device.publicKey = DEVICE;
	recipe.beacon = BEACON;

	const text = profiles.profile({ ...recipe, kind: 'one' });

	assert.match(text, /^Endpoint = 198\.51\.100\.10:51821$/m);
	assert.match(text, /^AllowedIPs = 10\.7\.0\.2\/32, fd07::2\/128, 192\.168\.1\.0\/24$/m);
	assert.match(text, /^MTU = 1412$/m);
	assert.deepEqual(clients.parse(text), recipe);
	assert.equal(profiles.profile({ ...clients.parse(text), kind: 'one' }), text);
	for (const rubbish of [ '', 'x', '[Interface]\n[Peer]\n[Peer]\n[Peer]\n', '\0'.repeat(1000) ])
		assert.throws(() => clients.parse(rubbish), Error);
});

test('without the server’s peer there is no recipe', () => {
	const files = network().filter(one => one['.name'] != 'cfg1');

	assert.throws(() => clients.recipe(place(files), files, status(), { addresses: [], listenPort: 1 }), /10\.7\.0\.1/);
});

test('names of files and for the shell', () => {
	assert.equal(clients.fileName('phone', 'one'), 'phone');
	assert.equal(clients.fileName('a-very-long-name-of-a-phone', 'one'), 'a-very-long-nam');
	assert.equal(clients.fileName('a-very-long-name-of-a-phone', 'classic'), 'a-very--classic');
	assert.equal(clients.fileName('../../\u202e<b>', 'one'), '.._..___b_');
	assert.equal(clients.shellName('phone-2'), 'phone-2');
	assert.equal(clients.shellName("a'; reboot; '"), 'a___reboot___');
	assert.equal(clients.shellName(''), 'client');
});

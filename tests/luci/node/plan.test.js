'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const plan = load('wgp2p/plan');

const KEY = 'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=';
const OLD = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
const SERVER = { publicKey: KEY, host: 'vpn.example.org', port: '51820', address: '10.7.0.1', apiPort: '8080' };

/* A router as it comes from the box, with the package's own configuration. */
function empty() {
	return {
		network: [
			{ '.type': 'interface', '.name': 'loopback', proto: 'static', ipaddr: '127.0.0.1', netmask: '255.0.0.0' },
			{ '.type': 'interface', '.name': 'lan', proto: 'static', ipaddr: [ '192.168.1.1/24' ] },
			{ '.type': 'interface', '.name': 'wan', proto: 'dhcp' }
		],
		firewall: [
			{ '.type': 'zone', '.name': 'cfg02', name: 'lan', network: [ 'lan' ] },
			{ '.type': 'zone', '.name': 'cfg03', name: 'wan', network: 'wan wan6' }
		],
		wgp2p: [
			{ '.type': 'wgp2p', '.name': 'main', enabled: '0' },
			{ '.type': 'subscriber', '.name': 'vps', enabled: '0', interface: 'wg0', publisher: '10.7.0.1', token_file: '/etc/wgp2p/token' },
			{ '.type': 'publisher', '.name': 'server', enabled: '0', interface: 'wg0', relay: '1' }
		]
	};
}

/* What UCI has after the changes. */
function carriedOut(sections, changes) {
	const next = structuredClone(sections);

	changes.forEach((change, index) => {
		if (change.op == 'add')
			next[change.config].push({ '.type': change.type, '.name': change.name ?? `new${index}`, '.anonymous': !change.name,
				...change.values });
		else
			Object.assign(next[change.config].find(one => one['.name'] == change.section), change.values);
	});

	return next;
}

function withInterface() {
	const sections = empty();

	return carriedOut(sections, plan.create(sections, { name: 'wg0', address: '10.7.0.2/24', listenPort: '51820', privateKey: OLD }));
}

test('an empty router', () => {
	const found = plan.present(empty());

	assert.deepEqual(found, { role: 'device', enabled: false, interface: '', label: 'vps',
		server: { publicKey: '', host: '', port: '', address: '', apiPort: '8080' } });
	assert.deepEqual(plan.propose(empty().network, 2), { name: 'wg0', address: '10.7.0.2/24', listenPort: '51820' });
});

test('a proposal is free: name, network and port', () => {
	const network = [ ...withInterface().network,
		{ '.type': 'interface', '.name': 'guest', proto: 'static', ipaddr: '10.8.3.1', netmask: '255.255.0.0' },
		{ '.type': 'interface', '.name': 'iot', proto: 'static', ipaddr: '10.9.0.129/25' },
		{ '.type': 'wireguard_wg0', '.name': 'p', allowed_ips: [ '10.10.0.0/16', '0.0.0.0/0', 'rubbish' ] } ];

	assert.deepEqual(plan.propose(network, 1), { name: 'wg1', address: '10.11.0.1/24', listenPort: '51821' });
});

test('from nothing to a device, and then nothing more', () => {
	const sections = withInterface();
	const changes = plan.device(sections, 'wg0', SERVER);
	const done = carriedOut(sections, changes);

	assert.deepEqual(changes.find(change => change.op == 'add'), { op: 'add', config: 'network', type: 'wireguard_wg0', name: null,
		values: { description: 'public server', public_key: KEY, endpoint_host: 'vpn.example.org', endpoint_port: '51820',
			persistent_keepalive: '25', route_allowed_ips: '1', allowed_ips: [ '10.7.0.1/32' ] } });
	assert.deepEqual(plan.present(done), { role: 'device', enabled: true, interface: 'wg0', label: 'vps', server: SERVER });
	assert.deepEqual(plan.device(done, 'wg0', SERVER), []);
	assert.equal(done.wgp2p[1].token_file, '/etc/wgp2p/token');
	assert.equal(done.wgp2p[1].port, undefined);
});

test('where the package’s sections are gone they are made', () => {
	const sections = { ...withInterface(), wgp2p: [] };
	const done = carriedOut(sections, plan.device(sections, 'wg0', { ...SERVER, host: '198.51.100.10', apiPort: '8081' }));

	assert.deepEqual(done.wgp2p, [
		{ '.type': 'wgp2p', '.name': 'main', '.anonymous': false, enabled: '1' },
		{ '.type': 'subscriber', '.name': 'vps', '.anonymous': false, enabled: '1', interface: 'wg0', publisher: '10.7.0.1', port: '8081' } ]);
	assert.equal(plan.present(done).server.host, '198.51.100.10');
});

test('a server that has moved, with the peer’s other settings kept', () => {
	const sections = withInterface();
	const done = carriedOut(sections, plan.device(sections, 'wg0', SERVER));
	const peer = done.network.at(-1);

	Object.assign(peer, { allowed_ips: [ '10.7.0.0/24', '10.9.0.0/16' ], persistent_keepalive: '15', description: 'mine' });

	const moved = carriedOut(done, plan.device(done, 'wg0', { ...SERVER, host: 'new.example.org', port: '443' }));

	assert.deepEqual(moved.network.at(-1), { ...peer, endpoint_host: 'new.example.org', endpoint_port: '443' });
	assert.equal(moved.wgp2p[1].server_host, 'new.example.org');
	// An address instead of a name: then nobody is to ask for the name any more.
	const fixed = carriedOut(moved, plan.device(moved, 'wg0', { ...SERVER, host: '198.51.100.10' }));

	assert.equal(fixed.wgp2p[1].server_host, null);
	assert.equal(fixed.network.at(-1).endpoint_host, '198.51.100.10');
});

test('another peer with the server’s address, and the router’s own', () => {
	const sections = withInterface();

	sections.network.push({ '.type': 'wireguard_wg0', '.name': 'p', description: 'old server', public_key: OLD, allowed_ips: '10.7.0.1' });
	assert.throws(() => plan.device(sections, 'wg0', SERVER), /old server/);
	assert.throws(() => plan.device(sections, 'wg0', { ...SERVER, address: '10.7.0.2' }), /own address/);
});

test('the zone lan', () => {
	const { firewall } = empty();
	const [ change ] = plan.lan(firewall, 'wg0', true);

	assert.deepEqual(change, { op: 'set', config: 'firewall', section: 'cfg02', values: { network: [ 'lan', 'wg0' ] } });
	assert.deepEqual(plan.lan(firewall, 'wg0', false), []);
	firewall[0].network = 'lan wg0';
	assert.equal(plan.zone(firewall, 'wg0'), 'lan');
	assert.deepEqual(plan.lan(firewall, 'wg0', true), []);
	assert.deepEqual(plan.lan(firewall, 'wg0', false)[0].values.network, [ 'lan' ]);
	firewall.push({ '.type': 'zone', '.name': 'z', name: 'vpn', network: 'wg1' });
	assert.deepEqual(plan.lan(firewall, 'wg1', true), [], 'a zone of its own stays');
});

test('what makes no interface', () => {
	const values = { name: 'wg0', address: '10.7.0.2/24', listenPort: '51820', privateKey: OLD };

	for (const wrong of [ { name: 'lan' }, { name: '' }, { name: 'wg-0' }, { name: '0wg' }, { name: 'w'.repeat(16) }, { name: "wg0'" },
		{ listenPort: '0' }, { listenPort: '65536' }, { listenPort: '1e3' }, { listenPort: '' }, { privateKey: '' } ])
		assert.throws(() => plan.create(empty(), { ...values, ...wrong }), Error, JSON.stringify(wrong));
	assert.throws(() => plan.create(withInterface(), { ...values, name: 'wg1' }), /listen port/);
});

test('a public server', () => {
	const sections = withInterface();
	const done = carriedOut(sections, plan.server(sections, 'wg0'));

	assert.equal(plan.present(done).role, 'server');
	assert.equal(plan.present(done).interface, 'wg0');
	assert.equal(plan.present(done, 'device').enabled, false);
	assert.deepEqual(plan.server(done, 'wg0'), []);
	assert.equal(done.wgp2p[1].enabled, '0');
});

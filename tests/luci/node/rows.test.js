'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { load } = require('./load');

const rows = load('wgp2p/rows');

const recorded = name => JSON.parse(fs.readFileSync(path.join(__dirname, '../../golden/luci', `${name}.json`), 'utf8'));
const clone = value => JSON.parse(JSON.stringify(value));

function link(more = {}) {
	return { name: 'vps', publisher: '10.7.0.1', port: 8080, public_key: 'SERVER', mode: 'events', problem: '', connected_age: 60,
		tunnel_age: 5, refused: null, you: '203.0.113.7:51820', relays: true, ...more };
}

function peer(more = {}) {
	return { public_key: 'PHONE', name: 'phone', path: 'direct', reason: '', since_age: 60, seen_age: 2, endpoint: '198.51.100.1:36906',
		keepalive: 25, rx_bytes: 1, tx_bytes: 2, sweep: null, ...more };
}

function status(more = {}) {
	return { wan: { device: [], address: [], mtu: null, preserve: true, at_home: [], problem: '' }, publishers: [], portmaps: [],
		stale_profiles: [], subscribers: [ { interface: 'wg0', listen_port: 51820, problem: '', publishers: [ link() ], peers: [] } ], ...more };
}

function following(more) {
	const all = status();

	Object.assign(all.subscribers[0], more);
	return all;
}

function mapped(more) {
	return status({ subscribers: [], portmaps: [ { interface: 'wg0', gateway: '10.0.0.1', address: '10.0.0.2', problem: '', mappings: [
		{ port: 51820, forward: null, gateway: '10.0.0.1', protocol: 'pcp', external: '203.0.113.7:51820', lifetime_left: 7200,
			verdict: 'open', error: '', ...more } ] } ] });
}

test('clients: what was recorded, by name, without the public server', () => {
	const { status, history } = recorded('busy');
	const found = rows.clients(status, history);

	assert.deepEqual(found.map(row => row.name), [ 'camera', 'laptop', 'old phone', 'phone', 'tablet' ]);
	assert.deepEqual(found.map(row => row.path), [ 'static', 'relay', 'offline', 'direct', 'trying' ]);
	assert.deepEqual(found.map(row => row.callable), [ false, true, true, true, true ]);
	assert.deepEqual(found.filter(row => row.stale).map(row => row.name), [ 'laptop' ]);
	assert.equal(found[2].seen, 'not seen yet');
	assert.equal(found[2].endpoint, '');
	assert.equal(found[3].states.length, 96);
	assert.equal(rows.count(found), '1 direct, 1 relay, 1 trying, 1 offline, 1 static');
});

test('clients: none, and no history yet', () => {
	const { status, history } = recorded('empty');

	assert.deepEqual(rows.clients(status, history), []);
	assert.equal(rows.count([]), '');
	assert.equal(rows.clients(recorded('busy').status, null)[0].states, undefined);
});

test('clients: one key on two interfaces is two rows, and each says where', () => {
	const all = status(), other = clone(all.subscribers[0]);

	all.subscribers[0].peers = [ peer() ];
	other.interface = 'wg1';
	other.peers = [ peer() ];
	all.subscribers.push(other);

	const found = rows.clients(all, null);

	assert.equal(new Set(found.map(row => row.key)).size, 2);
	assert.deepEqual(found.map(row => row.interface), [ 'wg0', 'wg1' ]);
	assert.equal(rows.clients(following({ peers: [ peer() ] }), null)[0].interface, '');
});

test('clients: a search for the port is part of the reason', () => {
	const [ row ] = rows.clients(following({ peers: [ peer({ path: 'trying', reason: 'no answer', sweep: { ports: 512, wave: 2, next: 3 } }) ] }), null);

	assert.match(row.reason, /^no answer\. .*512/);
});

test('clients: names from the network stay what they are: the page makes them visible', () => {
	for (const name of [ '<script>alert(1)</script>', '"\'', '\u202eevil', '\u{1f4f1}', 'x'.repeat(200), '__proto__' ])
		assert.equal(rows.clients(following({ peers: [ peer({ name }) ] }), null)[0].name, name);
});

test('device: connected, and the port that is seen', () => {
	const [ server, outside ] = rows.device(status());

	assert.deepEqual([ server.state.level, server.value, outside.state.word, outside.value ],
		[ 'success', '10.7.0.1:8080', 'port kept', '203.0.113.7:51820' ]);
	assert.match(outside.text, /51820/);
});

test('device: another port, from an IPv6 address, too', () => {
	for (const you of [ '203.0.113.7:1024', '[2001:db8::1]:1024' ]) {
		const outside = rows.device(following({ publishers: [ link({ you }) ] }))[1];

		assert.equal(outside.state.level, 'warning');
		assert.match(outside.text, /51820.*1024/);
	}
	assert.equal(rows.device(following({ publishers: [ link({ you: '[2001:db8::1]:51820' }) ] }))[1].state.level, 'success');
	assert.equal(rows.device(following({ listen_port: null }))[1].state.word, 'not known');
});

test('device: what stands in the way, in whole sentences', () => {
	const problem = more => rows.device(following({ publishers: [ link({ you: null, connected_age: null, ...more }) ] }));

	assert.equal(problem({ mode: 'connecting', problem: 'connection refused' })[0].state.word, 'not connected');
	assert.match(problem({ mode: 'connecting', problem: 'connection refused' })[0].text, /^Connection refused\. Something came through the tunnel/);
	assert.match(problem({ mode: 'connecting', problem: 'x', tunnel_age: null })[0].text, /Nothing has come/);
	assert.equal(problem({ mode: 'no token', problem: 'no file' })[0].state.word, 'no token');
	assert.equal(problem({ mode: 'connecting', problem: 'x' }).length, 1);
	assert.match(problem({ relays: false })[0].text, /cannot connect/);
	assert.match(problem({ mode: 'polling' })[0].text, /again and again/);

	const broken = rows.device(following({ problem: 'no such device' }));

	assert.deepEqual(broken.map(row => [ row.value, row.state.level, row.text ]), [ [ 'wg0', 'warning', 'No such device.' ] ]);
});

test('device: with two servers each says what it sees', () => {
	const titles = rows.device(following({ publishers: [ link(), link({ name: 'office' }) ] })).map(row => row.title);

	assert.deepEqual(titles, [ 'Public server vps', 'Public server office', 'Seen by vps at', 'Seen by office at' ]);
});

test('device: a mapping and its verdict', () => {
	const verdict = more => rows.device(mapped(more))[0];

	for (const [ text, level, word ] of [ [ 'open', 'success', 'open' ], [ 'open to this server', 'success', 'open' ],
		[ 'filtered', 'warning', 'closed' ], [ 'rewritten', 'warning', 'closed' ], [ 'unknown', '', 'not checked' ], [ '', '', 'not checked' ],
		[ 'constructor', '', 'not checked' ] ]) {
		assert.deepEqual(verdict({ verdict: text }).state, { level, word }, text);
	}
	assert.equal(verdict({ external: null, protocol: null, error: 'not authorised' }).state.word, 'not mapped');
	assert.match(verdict({ external: null, protocol: null, error: 'not authorised' }).text, /asked of 10\.0\.0\.1\. Not authorised\.$/);
	assert.match(verdict({ forward: '192.168.1.10:443' }).text, /for 192\.168\.1\.10:443, made by 10\.0\.0\.1 with PCP/);
	assert.equal(rows.device({ ...mapped(), portmaps: [ { interface: null, problem: 'no gateway', mappings: [] } ] })[0].text, 'No gateway.');
});

test('device and peers of a public server', () => {
	const relay = { state: 'kernel', problem: '', routes: 2, pairs: [ { a: 'PHONE', b: 'GONE-LONG-AGO', packets: 3, bytes: 2000, initiations: 1 } ] };
	const served = [ peer({ state: 'seen', device: false }), peer({ public_key: 'HOME', name: 'home', state: 'never', device: true, endpoint: null }),
		peer({ public_key: 'X', name: 'x', state: 'excluded' }), peer({ public_key: 'Y', name: 'y', state: 'hasOwnProperty' }) ];
	const all = status({ subscribers: [], publishers: [ { interface: 'wg0', address: [ '10.7.0.1', 'fd07::1' ], port: 8080, listen_port: 51820,
		problem: '', subscribers: 1, relay, peers: served } ] });
	const [ publisher, passing ] = rows.device(all);

	assert.equal(publisher.value, '10.7.0.1:8080, [fd07::1]:8080');
	assert.match(publisher.text, /devices: 1, connected: 1/);
	assert.equal(passing.state.word, 'works');
	assert.match(passing.text, /^phone and GONE-LON: /);
	assert.deepEqual(rows.served(all).map(row => [ row.name, row.device, row.state.word, row.callable ]),
		[ [ 'home', true, 'never seen', false ], [ 'phone', false, 'seen', true ], [ 'x', false, 'excluded', false ],
			[ 'y', false, 'hasOwnProperty', true ] ]);
	assert.deepEqual(rows.roles(all), { subscriber: false, publisher: true, none: false });
});

test('findings: parted, in the daemon’s order; "off" is the page’s own', () => {
	const finding = (level, code) => ({ level, code, text: code, advice: '' });
	const { problems, fine } = rows.findings({ findings: [ finding('error', 'off'), finding('error', 'a'), finding('warning', 'b'), finding('ok', 'c') ] });

	assert.deepEqual([ problems.map(found => found.code), fine.map(found => found.code) ], [ [ 'a', 'b' ], [ 'c' ] ]);
	assert.deepEqual(rows.findings(null), { problems: [], fine: [] });
});

test('roles: nothing switched on', () => {
	assert.equal(rows.roles(status({ subscribers: [] })).none, true);
	assert.equal(rows.roles(mapped()).none, false);
});

test('no row’s text has an object or a number that is none in it', () => {
	for (const name of fs.readdirSync(path.join(__dirname, '../../golden/luci')).filter(file => file.endsWith('.json') && file != 'profile.json')) {
		const { status, history } = recorded(name.slice(0, -5));

		if (status)
			assert.doesNotMatch(JSON.stringify([ rows.device(status), rows.clients(status, history), rows.served(status) ]), /undefined|NaN|\[object|%[sd]/, name);
	}
});

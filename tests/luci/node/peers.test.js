'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const peers = load('wgp2p/peers');
const KEY = letter => `${letter.repeat(42)}A=`;
const [ A, B, C, D ] = [ 'a', 'b', 'c', 'd' ].map(KEY);
const wg = (name, key, more) => ({ '.type': `wireguard_${name}`, public_key: key, ...more });
const NETWORK = [ wg('wg0', A, { description: 'vps' }), wg('wg0', B, { description: 'phone' }), wg('wg0', B), wg('wg0', undefined), wg('wg9', C) ];
const FOLLOWS = { '.type': 'subscriber', '.name': 'vps', interface: 'wg0', enabled: '0' };
const peer = (name, key, more) => ({ '.type': 'peer', '.name': name, public_key: key, ...more });

test('every peer of the interfaces once, and those that only wgp2p knows', () => {
	const rows = peers.rows(NETWORK, [ FOLLOWS, peer('cfg1', B, { name: 'my phone' }), peer('cfg2', D, { name: 'gone' }) ]);
	assert.deepEqual(rows.map(row => [ row.shown, row.interface, row.section?.['.name'] ]),
		[ [ 'vps', 'wg0', undefined ], [ 'phone', 'wg0', 'cfg1' ], [ 'gone', '', 'cfg2' ] ]);
	assert.equal(new Set(rows.map(row => row.id)).size, 3);
	assert.ok(rows.every(row => /^\w+$/.test(row.id)));
});

test('the first option makes a section, and the last one takes it away', () => {
	assert.deepEqual(peers.changes([], A, 'exclude', '1'), [ { op: 'add', values: { public_key: A, exclude: '1' } } ]);
	const one = [ peer('cfg1', A, { exclude: '1' }) ];
	assert.deepEqual(peers.changes(one, A, 'exclude', null), [ { op: 'remove', section: 'cfg1' } ]);
	assert.deepEqual(peers.changes(one, A, 'keepalive', '20'), [ { op: 'set', section: 'cfg1', option: 'keepalive', value: '20' } ]);
	assert.deepEqual(peers.changes(one, A, 'keepalive', null), []);
	const two = [ peer('cfg1', A, { exclude: '1', listen_port: '36906' }) ];
	assert.deepEqual(peers.changes(two, A, 'exclude', null), [ { op: 'unset', section: 'cfg1', option: 'exclude' } ]);
});

test('a section whose key a list names stays', () => {
	const sections = [ peer('cfg1', A, { exclude: '1' }), peer('cfg2', B, { client: [ A ] }) ];
	assert.deepEqual(peers.changes(sections, A, 'exclude', null), [ { op: 'unset', section: 'cfg1', option: 'exclude' } ]);
});

test('lists follow a new name', () => {
	const sections = [ peer('cfg1', A, { name: 'phone' }), peer('cfg2', B, { name: 'home', client: [ 'phone', 'desk' ] }) ];
	assert.deepEqual(peers.changes(sections, A, 'name', 'mobile'), [
		{ op: 'set', section: 'cfg2', option: 'client', value: [ 'mobile', 'desk' ] },
		{ op: 'set', section: 'cfg1', option: 'name', value: 'mobile' } ]);
	assert.deepEqual(peers.clients(sections, sections[1]), [ A, 'desk' ]);
});

test('who is listed gets a section, which the daemon wants', () => {
	assert.deepEqual(peers.changes([ peer('cfg2', B, { name: 'home' }) ], B, 'client', [ A ]), [
		{ op: 'add', values: { public_key: A } }, { op: 'set', section: 'cfg2', option: 'client', value: [ A ] } ]);
});

test('names that the daemon would refuse', () => {
	for (const [ name, device ] of [ [ ' a' ], [ 'a\n' ], [ 'x'.repeat(65) ], [ 'taken' ], [ '', true ], [ 'a/b', true ], [ '.a', true ] ])
		assert.equal(typeof peers.nameProblem(name, Boolean(device), [ 'taken' ]), 'string', name);
	for (const [ name, device ] of [ [ '' ], [ 'a/b' ], [ '📱'.repeat(64) ], [ 'home', true ] ])
		assert.equal(peers.nameProblem(name, Boolean(device), [ 'taken' ]), null, name);
});

test('forwards', () => {
	const { validate } = load('wgp2p/fields', { form: {}, uci: {}, 'wgp2p.addresses': load('wgp2p/addresses') }).forward;
	for (const text of [ '', '51821:192.168.1.20', '1024:10.0.0.1:1', '65535:1.2.3.4:65535' ])
		assert.equal(validate('id', text), true, text);
	for (const text of [ '80:192.168.1.20', '65536:1.2.3.4', '51821:1.2.3.256', '51821:1.2.3.4:0', '51821:nas', '51821', 'x'.repeat(1000) ])
		assert.equal(typeof validate('id', text), 'string', text);
});

'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const peers = load('wgp2p/peers');
const options = load('wgp2p/options');
const KEY = letter => `${letter.repeat(42)}A=`;
const wg = (name, key, more) => ({ '.type': `wireguard_${name}`, public_key: key, ...more });
const NETWORK = [ { '.type': 'interface', '.name': 'lan', proto: 'static' }, { '.type': 'interface', '.name': 'wg0', proto: 'wireguard' },
	wg('wg0', KEY('a'), { description: 'vps' }), wg('wg0', KEY('b'), { description: 'phone' }), wg('wg0', KEY('b'), { description: 'twice' }),
	wg('wg0', 'no key', { description: 'x' }), wg('wg9', KEY('c'), { description: 'of no interface' }) ];
const peer = (name, key, more) => ({ '.type': 'peer', '.name': name, public_key: key, ...more });

test('every peer of WireGuard once, with what wgp2p says of it', () => {
	const rows = peers.join(NETWORK, [ peer('cfg1', KEY('b'), { name: 'my phone', exclude: '1' }), peer('cfg2', KEY('d'), { name: 'gone' }) ]);
	assert.deepEqual(rows.map(row => [ row.label, row.interface, row.section ]),
		[ [ 'vps', 'wg0', null ], [ 'my phone', 'wg0', 'cfg1' ], [ 'gone', '', 'cfg2' ] ]);
	assert.equal(rows[1].values.exclude, '1');
	assert.equal(rows[0].values.exclude, null);
	assert.equal(new Set(rows.map(row => row.id)).size, 3);
});

test('what a new section begins with', () => {
	const rows = peers.join(NETWORK, [ peer('cfg2', KEY('d'), { name: 'phone' }) ]);
	assert.deepEqual(peers.beginning(rows[0], rows), { public_key: KEY('a'), name: 'vps' });
	assert.deepEqual(peers.beginning(rows[1], rows), { public_key: KEY('b') }, 'two peers cannot share a name');
});

test('a description that is no name', () => {
	for (const description of [ undefined, '', '  ', 'x'.repeat(65), 'a\nb', '\u202eb' ]) {
		const rows = peers.join([ NETWORK[1], wg('wg0', KEY('a'), { description }) ], []);
		assert.deepEqual(peers.beginning(rows[0], rows), { public_key: KEY('a') });
	}
});

test('sections of public servers, by the labels that the daemon has for them', () => {
	const sections = [ { '.type': 'subscriber', '.name': 'vps', token: 'secret' }, { '.type': 'subscriber', '.name': 'cfg3', '.anonymous': true, enabled: '0' } ];
	assert.deepEqual(peers.subscribers(sections), [ { label: 'vps', token: true, enabled: true }, { label: '@subscriber[1]', token: false, enabled: false } ]);
	assert.deepEqual(peers.withToken(sections), [ 'vps' ]);
});

test('a public server is one that is switched on', () => {
	const server = enabled => [ { '.type': 'publisher', '.name': 'server', ...(enabled ? { enabled } : {}) } ];
	assert.ok(peers.serves(server()) && peers.serves(server('on')) && !peers.serves(server('0')) && !peers.serves([]));
});

test('forwards', () => {
	const check = options.portmap.find(option => option.name == 'forward').validate;
	for (const text of [ '51821:192.168.1.20', '1024:10.0.0.1:1', '65535:1.2.3.4:65535' ])
		assert.equal(check(text), true, text);
	for (const text of [ '', '80:192.168.1.20', '65536:1.2.3.4', '51821:1.2.3.256', '51821:1.2.3.4:0', '51821:nas', '51821', 'x'.repeat(1000) ])
		assert.equal(typeof check(text), 'string', text);
});

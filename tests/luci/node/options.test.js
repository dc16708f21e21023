'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const options = load('wgp2p/options');

test('lists, as wgp2p takes them and as netifd does', () => {
	for (const nothing of [ undefined, null, '', [] ]) {
		assert.deepEqual(options.list(nothing), []);
		assert.deepEqual(options.words(nothing), []);
	}
	assert.deepEqual(options.list('my phone'), [ 'my phone' ]);
	assert.deepEqual(options.words(' lan  wg0 '), [ 'lan', 'wg0' ]);
	assert.deepEqual(options.list([ 'my phone', 'b' ]), [ 'my phone', 'b' ]);
	assert.deepEqual(options.words([ '10.0.0.1/8 fd00::1/64', 'b' ]), [ '10.0.0.1/8', 'fd00::1/64', 'b' ]);
});

test('switches', () => {
	for (const yes of [ '1', 'on', 'TRUE', 'yes', 'enabled' ])
		assert.ok(options.on(yes, false));
	for (const no of [ '0', 'off', '', '10', 'disabled' ])
		assert.ok(!options.on(no, true));
	assert.ok(options.on(undefined, true) && !options.on(null, false));
});

test('what the daemon calls a section', () => {
	const sections = [ { '.type': 'wgp2p', '.name': 'main' }, { '.type': 'subscriber', '.name': 'vps' },
		{ '.type': 'subscriber', '.name': 'cfg03', '.anonymous': true } ];

	assert.deepEqual(sections.slice(1).map(section => options.label(sections, section)), [ 'vps', '@subscriber[1]' ]);
});

test('whose an address is', () => {
	const all = { allowed_ips: [ '0.0.0.0/0' ] }, lan = { allowed_ips: '10.7.0.0/24 nonsense' }, one = { allowed_ips: [ '10.7.0.3/32' ] };

	for (const peers of [ [ all, lan, one ], [ one, lan, all ] ]) {
		assert.equal(options.routedTo(peers, '10.7.0.3'), one);
		assert.equal(options.routedTo(peers, '10.7.0.4'), lan);
		assert.equal(options.routedTo(peers, '10.8.0.1'), all);
		assert.equal(options.routedTo(peers, 'fd00::1'), null);
	}
	assert.throws(() => options.routedTo([ all ], 'vps'));
});

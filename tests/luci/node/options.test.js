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

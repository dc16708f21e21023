'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const history = load('wgp2p/history');
const lines = (...counts) => counts.map(([ letter, count ]) => letter.repeat(count)).join('');

test('segments: stretches of one path, the newest ends at slot 96', () => {
	assert.deepEqual(history.segments(lines([ '-', 90 ], [ 'd', 4 ], [ 'r', 2 ])),
		[ { path: 'direct', start: 90, length: 4 }, { path: 'relay', start: 94, length: 2 } ]);
	assert.deepEqual(history.segments(lines([ 'd', 40 ], [ '-', 16 ], [ 'd', 40 ])),
		[ { path: 'direct', start: 0, length: 40 }, { path: 'direct', start: 56, length: 40 } ]);
	assert.deepEqual(history.segments('dtors'.repeat(1)).map(part => part.path), [ 'direct', 'trying', 'offline', 'relay', 'static' ]);
	assert.equal(history.segments('d')[0].start, 95);
});

test('segments: whatever comes, never more than 96 slots of known letters', () => {
	for (const states of [ undefined, null, '', '-'.repeat(96), '<script>'.toUpperCase(), '\u202e\u0000', 'DRT' ])
		assert.deepEqual(history.segments(states), [], String(states));
	assert.deepEqual(history.segments('r'.repeat(50) + 'd'.repeat(96)), [ { path: 'direct', start: 0, length: 96 } ]);
	assert.deepEqual(history.segments([ 'd' ]), [ { path: 'direct', start: 95, length: 1 } ]);
});

test('shares: of the known time alone, the longest first, nothing that was there is nothing', () => {
	assert.deepEqual(history.shares(lines([ '-', 86 ], [ 'r', 2 ], [ 'd', 8 ])),
		[ { path: 'direct', percent: 80 }, { path: 'relay', percent: 20 } ]);
	assert.deepEqual(history.shares(lines([ 'd', 95 ], [ 't', 1 ])), [ { path: 'direct', percent: 98 }, { path: 'trying', percent: 1 } ]);
	assert.deepEqual(history.shares(''), []);
});

test('only what was whole is 100%', () => {
	assert.equal(history.shares(lines([ 'd', 96 ]))[0].percent, 100);
	assert.equal(history.shares(lines([ 'd', 95 ], [ 'o', 1 ]))[0].percent, 98);
});

test('in words', () => {
	const states = lines([ '-', 86 ], [ 'r', 2 ], [ 'd', 8 ]);

	assert.equal(history.summary(states), 'direct 80%, relay 20%');
	assert.equal(history.sentence(states, 'trying'), 'The last 24 hours: direct 80%, relay 20%; now trying.');
	assert.equal(history.summary(undefined), 'not known yet');
});

test('when a segment was', () => {
	assert.equal(history.when({ path: 'relay', start: 84, length: 8 }, 900), 'relay for about 2 h, until 1 h ago');
	assert.equal(history.when({ path: 'trying', start: 40, length: 1 }, 900), 'trying for about 15 min, until 13 h ago');
	assert.equal(history.when({ path: 'direct', start: 92, length: 4 }, 900), 'direct for about 1 h, until now');
});

'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load');

const words = load('wgp2p/words');

test('ages', () => {
	for (const [ seconds, text ] of [ [ 0, '0 s' ], [ 59.9, '59 s' ], [ 60, '1 min' ], [ 3599, '59 min' ], [ 3600, '1 h' ],
		[ 4800, '1 h 20 min' ], [ 35999, '9 h 59 min' ], [ 36060, '10 h' ], [ 172799, '47 h' ], [ 172800, '2 d' ], [ 1e9, '11574 d' ] ])
		assert.equal(words.age(seconds), text);
	for (const odd of [ null, undefined, NaN, Infinity, -1, '5', {}, '<b>' ])
		assert.equal(words.age(odd), '-');
});

test('amounts', () => {
	for (const [ count, text ] of [ [ 0, '0 B' ], [ 999, '999 B' ], [ 1000, '1.0 kB' ], [ 1550, '1.6 kB' ], [ 99949, '99.9 kB' ],
		[ 99960, '100 kB' ], [ 999499, '999 kB' ], [ 999500, '1.0 MB' ], [ 5e9, '5.0 GB' ], [ 2 ** 64, '18447 PB' ] ])
		assert.equal(words.bytes(count), text);
	for (const odd of [ null, undefined, NaN, -1, '5', {} ])
		assert.equal(words.bytes(odd), '-');
});

test('states', () => {
	for (const path of [ 'direct', 'relay', 'trying', 'offline', 'static', 'constructor' ])
		assert.equal(words.stateWord(path), path);
	assert.equal(words.stateWord('\u202e<b>'), '[U+202E]<b>');
	assert.equal(words.stateWord(undefined), '');
});

test('what would not be seen has its code', () => {
	for (const [ text, shown ] of [ [ 'phone', 'phone' ], [ '', '' ], [ null, '' ], [ 5, '5' ], [ '<script>"\'&', '<script>"\'&' ],
		[ 'a\u202eb', 'a[U+202E]b' ], [ '\u0000\u001b\n\t', '[U+0000][U+001B][U+000A][U+0009]' ], [ '\u2066\u2069\u200f\u200b\ufeff\u00ad',
			'[U+2066][U+2069][U+200F][U+200B][U+FEFF][U+00AD]' ], [ '\u2028\u3164', '[U+2028][U+3164]' ], [ 'pho\u200dne', 'pho[U+200D]ne' ],
		[ '\ud800x', '[U+D800]x' ], [ '\u{e0001}', '[U+E0001]' ], [ 'Türöffner 手机 ชื่อ', 'Türöffner 手机 ชื่อ' ],
		[ '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}' ],
		[ '\u2764\ufe0f\u200d\u{1f525}', '\u2764\ufe0f\u200d\u{1f525}' ], [ `a${'\u0300'.repeat(50)}b`, `a${'\u0300'.repeat(4)}b` ] ])
		assert.equal(words.visible(text), shown);
});

test('what is long ends', () => {
	assert.equal(words.visible('x'.repeat(64)), 'x'.repeat(64));
	assert.equal(words.visible('x'.repeat(65)), `${'x'.repeat(63)}…`);
	assert.equal(words.visible('x'.repeat(300), 300), 'x'.repeat(300));
	assert.equal(words.visible('\u{1f984}'.repeat(64)), '\u{1f984}'.repeat(64));
	assert.equal(words.visible('\u{1f984}'.repeat(65)), `${'\u{1f984}'.repeat(63)}…`);
	for (const char of [ 'x', '\u{1f984}', '\u202e', '\u0300', '\ud800', '\u200d' ])
		assert.ok([ ...words.visible(char.repeat(1e6)) ].length <= 64, char);
});

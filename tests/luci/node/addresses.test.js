'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { load } = require('./load');

const addresses = load('wgp2p/addresses');
const golden = JSON.parse(fs.readFileSync(path.join(__dirname, '../../golden/profiles.json'), 'utf8'));

/* What no text field and no UCI file should be able to break. */
const ODD = [ undefined, null, '', 0, NaN, {}, [], '\u0000', '\u202e', '<script>alert(1)</script>', ':'.repeat(100000), '.'.repeat(100000),
	'1'.repeat(100000), '1:'.repeat(50000), '-'.repeat(100000), 'a.'.repeat(50000), '__proto__' ];

function attempt(make) {
	try {
		return make();
	}
	catch (error) {
		assert.equal(error.constructor, Error, error.stack);
		assert.ok(error.message.length < 200 && !/[\p{Cc}\u202e]/u.test(error.message), error.message);
		return null;
	}
}

test('networks as the daemon has them', () => {
	for (const [ text, canonical ] of golden.networks) {
		const network = attempt(() => addresses.network(text));

		assert.equal(network && String(network), canonical, text);
	}
});

test('endpoints as the daemon has them', () => {
	for (const [ text, canonical ] of golden.endpoints)
		assert.equal(attempt(() => addresses.checkEndpoint(text)), canonical, text);
});

test('free addresses as the daemon has them', () => {
	for (const { ip, length, used, address } of golden.freeAddresses)
		assert.equal(addresses.freeAddress(ip, length, used.map(text => addresses.network(text))), address,
			`${ip}/${length} ${used}`);
});

test('keys as the daemon has them', () => {
	for (const [ text, good ] of golden.keys)
		assert.equal(addresses.isKey(text), good, text);
});

test('a network holds its addresses, of its own kind alone', () => {
	const lan = addresses.network('192.168.1.77/24'), all = addresses.network('::/0');

	assert.deepEqual([ lan.bits, lan.length, String(lan) ], [ 32, 24, '192.168.1.0/24' ]);
	for (const [ network, ip, held ] of [ [ lan, '192.168.1.0', true ], [ lan, '192.168.1.255', true ], [ lan, '192.168.2.0', false ],
		[ lan, '::ffff:192.168.1.9', true ], [ lan, 'fd07::1', false ], [ all, 'fd07::1', true ], [ all, '10.7.0.1', false ],
		[ addresses.network('0.0.0.0/0'), '255.255.255.255', true ], [ addresses.network('fd07::/127'), 'fd07::2', false ] ])
		assert.equal(addresses.contains(network, ip), held, `${network} ${ip}`);
	assert.throws(() => addresses.contains(lan, 'lan'), /no IP address/);
});

test('hosts, canonical texts, ports', () => {
	assert.deepEqual(addresses.hosts([ '10.7.0.3', 'FD07::0:3' ]), [ '10.7.0.3/32', 'fd07::3/128' ]);
	assert.equal(addresses.canonical('FD07:0:0:1:0:0:0:3'), 'fd07:0:0:1::3');
	assert.equal(addresses.freePort([]), 36906);
	assert.equal(addresses.freePort([ 36907, 36906, 51820 ]), 36908);
});

test('whatever is given, it is refused in words, and fast', () => {
	const begun = process.hrtime.bigint();

	for (const odd of ODD) {
		for (const method of [ 'canonical', 'network', 'checkEndpoint' ])
			assert.equal(attempt(() => addresses[method](odd)), null, `${method} ${String(odd).slice(0, 20)}`);
		assert.equal(addresses.isKey(odd), false);
	}
	assert.ok(process.hrtime.bigint() - begun < 2_000_000_000n);
});

'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { load } = require('./load');

const profiles = load('wgp2p/profile');
const golden = JSON.parse(fs.readFileSync(path.join(__dirname, '../../golden/profiles.json'), 'utf8'));
const luci = name => fs.readFileSync(path.join(__dirname, '../../golden/luci', name), 'utf8');
const [ usual ] = golden.profiles;

test('profiles are those of wgp2p client', () => {
	for (const row of golden.profiles)
		if (row.text == null)
			assert.throws(() => profiles.profile(row.given), Error, row.case);
		else
			assert.equal(profiles.profile(row.given), row.text, row.case);
});

test('the profile that the lab connects with', () => {
	assert.equal(profiles.profile(JSON.parse(luci('profile.json'))), luci('profile.conf'));
});

test('a refusal is for people: words, no private key, nothing of another language', () => {
	for (const row of golden.profiles.filter(row => row.text == null))
		assert.throws(() => profiles.profile(row.given), error => {
			assert.ok(!row.given.privateKey || !error.message.includes(row.given.privateKey), row.case);
			assert.doesNotMatch(error.message, /undefined|null|NaN|is not a|\p{Cc}/u, row.case);
			return true;
		});
});

test('without private key its line says so, and the rest is the same', () => {
	const { privateKey } = usual.given;

	assert.equal(profiles.profile({ ...usual.given, privateKey: '' }), usual.text.replace(privateKey, '(your private key)'));
	assert.throws(() => profiles.profile({ ...usual.given, privateKey: undefined }), /no key/);
});

test('what is not said is the usual', () => {
	const unsaid = { dns: undefined, mtu: undefined, keepalive: undefined };

	assert.equal(profiles.profile({ ...usual.given, ...unsaid }), usual.text);
	for (const wrong of [ { listenPort: '36906' }, { listenPort: NaN }, { keepalive: 2.5 }, { mtu: '1400' } ])
		assert.throws(() => profiles.profile({ ...usual.given, ...wrong }), /must be from/, JSON.stringify(wrong));
});

test('the public server’s script is that of wgp2p client', () => {
	for (const { name, publicKey, hosts, deviceKey, text } of golden.scripts)
		assert.equal(profiles.serverScript(name, publicKey, hosts, deviceKey), text);
});

test('nothing gets into the script that a shell could take for its own', () => {
	const [ { publicKey, hosts, deviceKey } ] = golden.scripts;

	for (const name of [ '', "a'b", 'a b', 'a\n', '$(id)', '`id`', '.a', '-a', 'x'.repeat(33), 'ü', '@KEY@', '$&' ])
		assert.throws(() => profiles.serverScript(name, publicKey, hosts, deviceKey), Error, name);
	assert.throws(() => profiles.serverScript('a', `${publicKey}\n`, hosts, deviceKey), /no key/);
	assert.throws(() => profiles.serverScript('a', publicKey, [ "10.7.0.3'" ], deviceKey), /network|address/);
	assert.throws(() => profiles.serverScript('a', publicKey, hosts, publicKey), /another one/);

	const checked = spawnSync('sh', [ '-n' ], { input: profiles.serverScript('NAME', publicKey, hosts, deviceKey) });

	assert.equal(checked.status, 0, String(checked.stderr));
});

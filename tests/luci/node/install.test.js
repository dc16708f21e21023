'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { load } = require('./load');

const install = load('wgp2p/install');

const KEY = 'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=';
const SERVER_KEY = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
const TOKEN = 'c0ffee'.repeat(10);
const HOSTILE = [ '', ' ', `'; id; '`, '$(id)', '`id`', 'a b', 'a\nid', 'a\n', '-n', '.x', 'x.', '../x', 'a;b', 'a|b', 'a&b', 'a>b', 'a\\',
	'a"b', 'é', '\u202ea', 'a\u0000', 'x'.repeat(33), '@KEY@', '$&', '*', '~', '!!', '#', '10.7.0.2\n', "10.7.0.2' id '",
	'10.7.0.2/24; id', '10.7.0.2/24/1', '10.7.0.2/99', '10.7.0.2 10.7.0.3', '::1%$(id)', KEY + "'", KEY.slice(0, -1) + '\n' ];
const COMMAND = [ 'cabin', KEY, [ '10.7.0.2/24' ], '10.7.0.1/24' ];
const golden = fs.readFileSync(path.join(__dirname, '../../golden/luci/install.txt'), 'utf8');

test('the installer’s own words are read', () => {
	assert.deepEqual(install.parse(golden, 'cabin'), { publicKey: 'server' + 'A'.repeat(37) + '=', host: '8.8.4.4',
		port: '51820', address: '10.7.0.1', apiPort: '8080', token: TOKEN });
});

test('a terminal breaks lines and indents, and shows the command first', () => {
	const wrapped = golden.replace(/, /g, ',\r\n   ');

	assert.deepEqual(install.parse(`root@vps:~# ${install.command(...COMMAND)}${wrapped}`, 'cabin'),
		install.parse(golden, 'cabin'));
});

test('of several tokens this router’s is taken, of a single one that one', () => {
	const two = golden + `The token of 'boat', which is a secret: ${'b'.repeat(40)}\n`;

	assert.equal(install.parse(two, 'boat').token, 'b'.repeat(40));
	assert.equal(install.parse(two, 'cabin').token, TOKEN);
	assert.equal(install.parse(two, 'attic').token, '');
	assert.equal(install.parse(golden, 'attic').token, TOKEN);
});

test('IPv6, and a server that does not know its public address', () => {
	const text = host => `This server: public key ${SERVER_KEY}, endpoint ${host}:51820,\naddress in the tunnel fd07::1, port 8080 (TCP, in the tunnel only).\n`;

	assert.equal(install.parse(text('2001:db8::1'), 'x').host, '2001:db8::1');
	assert.equal(install.parse(text('[2001:db8::1]'), 'x').host, '2001:db8::1');
	assert.deepEqual(install.parse(text('SERVER'), 'x'), { publicKey: SERVER_KEY, host: '', port: '51820', address: 'fd07::1',
		apiPort: '8080', token: '' });
});

test('nothing of it, and values that cannot be', () => {
	for (const text of [ '', 'hello', 'public key', '<script>alert(1)</script>' ])
		assert.equal(install.parse(text, 'cabin'), null);

	const found = install.parse('This server: public key <b>, endpoint $(id):99999, address in the tunnel ::x, port 0 (TCP', 'cabin');

	assert.deepEqual(found, { publicKey: '', host: '', port: '', address: '', apiPort: '', token: '' });
});

test('a long text is read fast, from its end', () => {
	const started = Date.now();

	assert.equal(install.parse('This server: public key '.repeat(200000), 'x'), null);
	assert.equal(install.parse('x '.repeat(1e6) + golden, 'cabin').token, TOKEN);
	assert.ok(Date.now() - started < 2000);
});

test('what is entered is checked, and made canonical', () => {
	const good = { publicKey: SERVER_KEY, host: 'VPN.example.org', port: '51820', address: '10.7.0.1', apiPort: '8080' };

	assert.deepEqual(install.server(good), { ...good, host: 'vpn.example.org' });
	assert.equal(install.server({ ...good, host: '[2001:DB8::1]' }).host, '2001:db8::1');
	for (const name of Object.keys(good))
		for (const value of HOSTILE.filter(value => !/^x+$/.test(value)))
			assert.throws(() => install.server({ ...good, [name]: value }), Error, `${name}: ${value}`);
});

test('no value gets into the command that is not what it should be', () => {
	for (const value of HOSTILE) {
		assert.throws(() => install.command(value, KEY, [ '10.7.0.2/24' ], '10.7.0.1/24'), Error, value);
		assert.throws(() => install.command('cabin', value, [ '10.7.0.2/24' ], '10.7.0.1/24'), Error, value);
		assert.throws(() => install.command('cabin', KEY, [ value ], '10.7.0.1/24'), Error, value);
		assert.throws(() => install.command('cabin', KEY, [ '10.7.0.2/24' ], value), Error, value);
	}
	assert.throws(() => install.command('cabin', KEY, [], '10.7.0.1/24'));
});

test('a quoted word is one word to a shell, whatever is in it', () => {
	for (const value of HOSTILE.filter(value => !value.includes('\0')))
		assert.equal(spawnSync('sh', [ '-c', `printf %s ${install.quote(value)}` ], { encoding: 'utf8' }).stdout, value);
});

test('clipboards and terminals do not change it', () => {
	const text = install.command(...COMMAND);

	assert.doesNotMatch(text, /\t|[^\n\x20-\x7e]|![^ ]|@[A-Z]+@/);
	for (const shell of [ 'sh', 'bash' ])
		assert.equal(spawnSync(shell, [ '-n' ], { input: text }).status, 0, shell);
});

/* -- the command, run among pretended programs ------------------------------------------------------------------- */

const FAKE = `#!/bin/sh
echo "\${0##*/} $*" >>"$WORLD/ran"
case "\${0##*/} $*" in
'id -u') echo 0 ;;
'wg show interfaces') cat "$WORLD/interfaces" 2>/dev/null ;;
'wg show wg0 peers') cut -f 1 "$WORLD/peers" ;;
'wg show wg0 allowed-ips') cat "$WORLD/peers" ;;
'wg show wg0 public-key') echo '${SERVER_KEY}' ;;
'wg show wg0 listen-port') echo 51821 ;;
'wg genkey') echo SECRET ;;
'ip -o route get 10.7.0.2') echo "10.7.0.2 dev wg0 src 10.7.0.1 uid 0 \\\\    cache " ;;
'ip -o route get '*) echo "$4 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0 " ;;
'ip -o addr show dev wg0') echo '3: wg0    inet 10.7.0.1/24 scope global wg0' ;;
'systemctl enable --now wg-quick@wg0') echo wg0 >"$WORLD/interfaces" ;;
wgp2p\\ token*) echo '${TOKEN}' ;;
'ubus call wgp2p status') echo status ;;
'jsonfilter -e @.publishers[@.interface='\\''wg0'\\''].port') cat "$WORLD/publisher" 2>/dev/null ;;
'jsonfilter -e @.publishers[@.interface='\\''wg0'\\''].address[0]') echo 10.7.0.1 ;;
'jsonfilter -e @.wan.address[0]') cat "$WORLD/wan" ;;
'uci batch') cat >>"$WORLD/batch"; echo "network.x.public_key='${KEY}'" >"$WORLD/uci-network" ;;
'uci show network') cat "$WORLD/uci-network" 2>/dev/null ;;
'uci show wgp2p') cat "$WORLD/uci-wgp2p" 2>/dev/null ;;
'uci add wgp2p peer') echo cfg09; echo "wgp2p.cfg09.public_key='${KEY}'" >"$WORLD/uci-wgp2p" ;;
'uci changes wgp2p') cat "$WORLD/changes" 2>/dev/null ;;
esac
`;

function world({ interfaces = 'wg0\n', peers = '', programs = [ 'wgp2p', 'wg-quick' ] }) {
	const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wgp2p-'));
	const bin = path.join(folder, 'bin');

	fs.mkdirSync(bin);
	fs.mkdirSync(path.join(folder, 'etc/wireguard'), { recursive: true });
	if (interfaces)
		fs.writeFileSync(path.join(folder, 'interfaces'), interfaces);
	if (interfaces)
		fs.writeFileSync(path.join(folder, 'etc/wireguard/wg0.conf'), '[Interface]\n');
	fs.writeFileSync(path.join(folder, 'peers'), peers);
	fs.writeFileSync(path.join(folder, 'ran'), '');
	for (const name of [ 'id', 'wg', 'ip', 'systemctl', ...programs ])
		fs.writeFileSync(path.join(bin, name), FAKE, { mode: 0o755 });
	for (const name of [ 'sed', 'grep', 'tr', 'cut', 'cat', 'ls', 'mkdir', 'head', 'sh' ])
		fs.symlinkSync(spawnSync('sh', [ '-c', `command -v ${name}` ], { encoding: 'utf8' }).stdout.trim(), path.join(bin, name));

	return {
		folder,
		put: (name, text) => fs.writeFileSync(path.join(folder, name), text),
		run(...values) {
			const text = install.command(...(values.length ? values : COMMAND)).replaceAll('/etc/', `${folder}/etc/`);
			const done = spawnSync('/bin/sh', [], { input: text, encoding: 'utf8', cwd: folder,
				env: { PATH: bin, WORLD: folder } });

			return { code: done.status, out: done.stdout, err: done.stderr };
		},
		read: name => fs.readFileSync(path.join(folder, name), 'utf8'),
		gone: () => fs.rmSync(folder, { recursive: true })
	};
}

function within(facts, look) {
	const there = world(facts);

	try {
		look(there);
	}
	finally {
		there.gone();
	}
}

const INSTALL = `wgp2p install --role publisher --interface wg0 --device cabin=${KEY}`;

test('on a Linux with WireGuard it adds the peer once, and shows the token', () => within({}, there => {
	const { code, out, err } = there.run();

	assert.equal(code, 0, err);
	assert.equal(install.parse(out, 'cabin').token, TOKEN);
	assert.ok(there.read('ran').includes(`wg set wg0 peer ${KEY} allowed-ips 10.7.0.2/32\n`));
	assert.ok(there.read('ran').includes(INSTALL));
	there.run();
	assert.equal(there.read('etc/wireguard/wg0.conf'),
		`[Interface]\n\n# cabin\n[Peer]\nPublicKey = ${KEY}\nAllowedIPs = 10.7.0.2/32\n`);
}));

test('on a Linux without WireGuard it sets it up, with a key that is in no argument', () => within({ interfaces: '' }, there => {
	const { code, err } = there.run();

	assert.equal(code, 0, err);
	assert.match(there.read('etc/wireguard/wg0.conf'), /^\[Interface\]\nAddress = 10\.7\.0\.1\/24\nListenPort = 51820\nPrivateKey = SECRET\n/);
	assert.doesNotMatch(there.read('ran'), /SECRET/);
	assert.equal(fs.statSync(path.join(there.folder, 'etc/wireguard/wg0.conf')).mode & 0o777, 0o600);
	assert.ok(there.read('ran').includes(INSTALL));
}));

test('without the installer nothing is changed', () => within({ programs: [ 'wg-quick' ], interfaces: '' }, there => {
	const { code, err } = there.run();

	assert.equal(code, 1);
	assert.match(err, /Copy the file wgp2p\.pyz/);
	assert.doesNotMatch(there.read('ran'), /set|enable|genkey/);
}));

test('an address that is taken, or in no tunnel, is said and nothing is changed', () => {
	within({ peers: `${SERVER_KEY}\t10.7.0.9/32 10.7.0.2/32\n` }, there => {
		const { code, err } = there.run();

		assert.equal(code, 1);
		assert.match(err, /10\.7\.0\.2\/32 belongs to another peer.*Taken are: 10\.7\.0\.9\/32 10\.7\.0\.2\/32/);
		assert.doesNotMatch(there.read('ran'), /wg set|install/);
	});
	within({}, there => {
		const { code, err } = there.run('cabin', KEY, [ '10.99.0.2/24' ], '10.99.0.1/24');

		assert.equal(code, 1);
		assert.match(err, /No tunnel of this server holds.*10\.99\.0\.2\/32[^]*wg0 +inet 10\.7\.0\.1\/24/);
		assert.doesNotMatch(there.read('ran'), /wg set|install/);
	});
});

const OPENWRT = { programs: [ 'wgp2p', 'uci', 'ubus', 'jsonfilter' ] };

function openwrt(there, { publisher = '8080\n', wan = '203.0.113.9\n' } = {}) {
	fs.mkdirSync(path.join(there.folder, 'etc/config'));
	there.put('etc/config/network', '');
	there.put('publisher', publisher);
	there.put('wan', wan);
}

test('on an OpenWrt router it adds both sections once, and prints what the page reads', () => within(OPENWRT, there => {
	openwrt(there);

	const { code, out, err } = there.run();

	assert.equal(code, 0, err);
	assert.deepEqual(install.parse(out, 'cabin'), { publicKey: SERVER_KEY, host: '203.0.113.9', port: '51821', address: '10.7.0.1',
		apiPort: '8080', token: TOKEN });
	assert.equal(there.run().code, 0);
	assert.equal(there.read('batch'), `add network wireguard_wg0
set network.@wireguard_wg0[-1].description='cabin'
set network.@wireguard_wg0[-1].public_key='${KEY}'
add_list network.@wireguard_wg0[-1].allowed_ips='10.7.0.2/32'
commit network
`);
	assert.equal(there.read('ran').split('uci add wgp2p peer').length, 2);
	assert.ok(there.read('ran').includes(`uci set wgp2p.cfg09.name=cabin\nuci set wgp2p.cfg09.public_key=${KEY}\nuci set wgp2p.cfg09.device=1\nuci commit wgp2p\nwgp2p reload\n`));
}));

test('an OpenWrt router behind a NAT does not name its private address', () => {
	for (const wan of [ '', '192.168.0.2', '172.31.1.1', '100.127.1.1', 'fd00::1' ])
		within(OPENWRT, there => {
			openwrt(there, { wan });
			assert.equal(install.parse(there.run().out, 'cabin').host, '', wan);
		});
	for (const wan of [ '172.32.1.1', '100.128.0.1', '2001:db8::1' ])
		within(OPENWRT, there => {
			openwrt(there, { wan });
			assert.equal(install.parse(there.run().out, 'cabin').host, wan);
		});
});

test('an OpenWrt router that is no public server, or has changes of somebody, is left alone', () => {
	for (const [ facts, file, words ] of [ [ { publisher: '' }, [ 'x', '' ], /no public server yet/ ],
		[ {}, [ 'changes', 'wgp2p.x=y' ], /not saved/ ] ])
		within(OPENWRT, there => {
			openwrt(there, facts);
			there.put(...file);

			const { code, err } = there.run();

			assert.equal(code, 1);
			assert.match(err, words);
			assert.doesNotMatch(there.read('ran'), /wg set|uci (batch|set|add|commit)/);
		});
});

test('a router that the server has keeps its interface and is no conflict with itself', () => within(
	{ peers: `${KEY}\t10.7.0.2/32\n` }, there => assert.equal(there.run().code, 0)));

test('networks behind the router that the server routes to it stay', () => within(
	{ peers: `${SERVER_KEY}\t10.7.0.9/32\n${KEY}\t10.7.0.2/32 192.168.1.0/24\n` }, there => {
		assert.equal(there.run('cabin', KEY, [ '10.7.0.2/24', 'fd00:7::2/64' ], '10.7.0.1/24').code, 0);
		assert.ok(there.read('ran').includes(`wg set wg0 peer ${KEY} allowed-ips 10.7.0.2/32,192.168.1.0/24,fd00:7::2/128\n`));
	}));

test('a name that another one has on an OpenWrt server is refused, since its configuration would be none', () => within(OPENWRT, there => {
	openwrt(there);
	there.put('uci-wgp2p', `wgp2p.@peer[0].name='cabin'\nwgp2p.@peer[0].public_key='${SERVER_KEY}'\n`);

	const { code, err } = there.run();

	assert.equal(code, 1);
	assert.match(err, /name cabin already/);
	assert.doesNotMatch(there.read('ran'), /wg set|uci (batch|set|add|commit)/);
	there.put('uci-wgp2p', `wgp2p.@peer[0].name='cabin'\nwgp2p.@peer[0].public_key='${KEY}'\n`);
	assert.equal(there.run().code, 0);
}));

test('a VPN that all of the server’s own traffic takes is not the tunnel', () => within({ peers: `${SERVER_KEY}\t0.0.0.0/0 ::/0\n` }, there => {
	const { code, err } = there.run();

	assert.equal(code, 1);
	assert.match(err, /No tunnel of this server holds/);
	assert.doesNotMatch(there.read('ran'), /wg set|install/);
}));

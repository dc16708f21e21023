'use strict';
'require baseclass';
'require rpc';

/* What the pages ask of the router. Every call gives a promise; a refusal rejects with an Error whose message is for
 * people: the daemon's own words where it has some. */

const NO_RIGHT = -32002, NO_OBJECT = -32000; // as uhttpd-mod-ubus has them
const ABSENT = {
	'wgp2p': _('the wgp2p service does not run'),
	'luci.wireguard': _('The package luci-proto-wireguard is missing on this router.'),
	'file': _('The package rpcd-mod-file is missing on this router.')
};

/* A call without `reject` resolves with the body that came with a refusal, or with ubus' bare status. With `reject`, or
 * with `expect`, the daemon's words would be lost. */
function declare(object, method, ...params) {
	/* Alone: in a batch all others would wait for the doctor. */
	const call = rpc.declare({ object, method, params, nobatch: true });

	return async (...args) => {
		let answer;

		try {
			answer = await call(...args);
		}
		catch (error) {
			throw new Error(refused(object, error));
		}
		if (typeof answer == 'number' && answer != 0)
			throw new Error(_('The router refuses this: %s').format(rpc.getStatusText(answer)));
		if (answer?.error)
			throw new Error([ answer.error, ...(answer.problems ?? []) ].join('; '));

		return answer || {};
	};
}

/* Why a call came to nothing. LuCI's error has the code in its text alone. */
function refused(object, error) {
	const code = Number(/error (-\d+)/.exec(error.message)?.[1]);

	if (code == NO_RIGHT)
		return _('You are not allowed to do this.');

	return code == NO_OBJECT ? ABSENT[object] : error.message;
}

const ask = {
	punch: declare('wgp2p', 'punch', 'peer'),
	beacon: declare('wgp2p', 'beacon', 'public_key'),
	generate: declare('luci.wireguard', 'generateKeyPair'),
	derive: declare('luci.wireguard', 'getPublicAndPrivateKeyFromPrivate', 'privkey'),
	execute: declare('file', 'exec', 'command', 'params')
};

/* {stdout, stderr} of `wgp2p client WORDS`. */
async function client(...words) {
	const { code, stdout = '', stderr = '' } = await ask.execute('/usr/bin/wgp2p', [ 'client', ...words ]);

	if (code)
		throw new Error(stderr.trim() || _('wgp2p client %s ended with %d.').format(words[0], code));

	return { stdout, stderr };
}

return baseclass.extend({
	/** The daemon's answers, as docs/protocol.md has them. */
	status: declare('wgp2p', 'status'),
	history: declare('wgp2p', 'history'),
	doctor: declare('wgp2p', 'doctor'),
	mappings: declare('wgp2p', 'mappings'),

	/** Calls a peer at once. @param {string} key its public key. */
	punch: key => ask.punch(key),

	/** Has the daemon read its configuration anew; {warnings: [text]}. */
	reload: declare('wgp2p', 'reload'),

	/** The public key of the beacon for the client with this public key. */
	beacon: async key => (await ask.beacon(key)).beacon,

	/** Writes the token of a public server. @param {string} subscriber the name of its section, '' for the only one. */
	token: declare('wgp2p', 'token', 'subscriber', 'token'),

	/** New keys: {private, public}. */
	async generateKeys() {
		const { keys } = await ask.generate();

		if (!keys?.priv || !keys.pub)
			throw new Error(_('The router could not make keys. The package wireguard-tools may be missing.'));

		return { private: keys.priv, public: keys.pub };
	},

	/** The public key of a private one. */
	async publicOf(privateKey) {
		const { keys } = await ask.derive(privateKey);

		if (!keys?.pub)
			throw new Error(_('This is no private key, or the package wireguard-tools is missing.'));

		return keys.pub;
	},

	/** The clients that were made on the command line: {public key: name}. */
	async cliClients() {
		const rows = (await client('list')).stdout.split('\n').slice(1).map(line => line.trim().split(/\s+/));

		return Object.fromEntries(rows.filter(row => row.length >= 4).map(([ name, , , key ]) => [ key, name ]));
	},

	/** The profile of such a client, its private key in it. */
	cliProfile: async name => (await client('profile', name)).stdout,

	/** Makes the running WireGuard know the peers that UCI has; what was said about it, for people. */
	cliApply: async () => (await client('apply')).stderr,

	/** Removes such a client; what was said about it, for people. */
	cliRemove: async name => (await client('remove', name)).stderr
});

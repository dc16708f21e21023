'use strict';
'require baseclass';
'require rpc';

/*
 * Everything that the pages ask of the router, but for its configuration: the daemon's object on ubus (docs/protocol.md
 * of the project), keys made by LuCI's WireGuard support, and clients that were made on the command line.
 */

const COMMAND = '/usr/bin/wgp2p';
const STATUS_WORDS = {
	4: _('The wgp2p service does not run.'),
	5: _('The wgp2p service does not answer.'),
	6: _('You are not allowed to do this.'),
	7: _('The wgp2p service took too long to answer.'),
	11: _('The answer of the wgp2p service is too large.')
};

/* Without `reject` and `expect` a refusal arrives with the daemon's own words (or as a number, where it has none);
 * only a missing object and missing rights are exceptions. */
function declare(object, method, params, options) {
	const call = rpc.declare({ object, method, params, ...options });

	return async (...values) => {
		let answer;
		try {
			answer = await call(...values);
		}
		catch (error) {
			throw new Error(words(error));
		}
		if (answer?.error != null)
			throw new Error([ answer.error, ...(answer.problems ?? []) ].join('; '));
		if (typeof answer == 'number' && answer != 0)
			throw new Error(STATUS_WORDS[answer] ?? _('It did not work (ubus status %d).').format(answer));
		return answer;
	};
}

function words(error) {
	if (/-32000/.test(error.message))
		return STATUS_WORDS[4];
	if (/-32002/.test(error.message))
		return STATUS_WORDS[6];
	return error.message;
}

const generateKeyPair = declare('luci.wireguard', 'generateKeyPair');
const keysOf = declare('luci.wireguard', 'getPublicAndPrivateKeyFromPrivate', [ 'privkey' ]);
const beaconOf = declare('wgp2p', 'beacon', [ 'public_key' ]);
const exec = declare('file', 'exec', [ 'command', 'params' ]);

async function run(command, params) {
	const { code, stdout, stderr } = await exec(command, params);

	if (code != 0)
		throw new Error(String(stderr ?? '').trim().split('\n')[0] || _('%s ended with %d.').format(command, code));
	return String(stdout ?? '');
}

return baseclass.extend({
	/* Each of these gives a promise of what docs/protocol.md says, and fails with an Error in words. */
	status: declare('wgp2p', 'status'),
	history: declare('wgp2p', 'history'),
	/* It looks at the machine for a while; in a batch all other answers would wait for it. */
	doctor: declare('wgp2p', 'doctor', [], { nobatch: true }),
	punch: declare('wgp2p', 'punch', [ 'peer' ]),
	token: declare('wgp2p', 'token', [ 'subscriber', 'token' ]),

	/**
	 * @param {string} publicKey a client's
	 * @returns {Promise<string>} the public key of its beacon
	 */
	async beacon(publicKey) {
		return (await beaconOf(publicKey)).beacon;
	},

	/** @returns {Promise<{private: string, public: string}>} a new key pair */
	async generateKeys() {
		const { keys } = await generateKeyPair();

		if (!keys?.priv || !keys.pub)
			throw new Error(_('The router made no keys. Is wireguard-tools installed?'));
		return { private: keys.priv, public: keys.pub };
	},

	/** @returns {Promise<string>} the public key of a private one */
	async publicOf(privateKey) {
		const { keys } = await keysOf(privateKey);

		if (!keys?.pub)
			throw new Error(_('That is no private key of WireGuard.'));
		return keys.pub;
	},

	/** @returns {Promise<Object<string, string>>} the names of the clients made with `wgp2p client`, by public key */
	async cliClients() {
		const names = {};
		for (const line of (await run(COMMAND, [ 'client', 'list' ])).split('\n')) {
			const [ , name, key ] = /^(\S+) +\S+ +[0-9]+ +([A-Za-z0-9+/]{43}=) /.exec(line) ?? [];
			if (name)
				names[key] = name;
		}
		return names;
	},

	/** @returns {Promise<string>} the profile of a client made with `wgp2p client`, with its private key */
	cliProfile: name => run(COMMAND, [ 'client', 'profile', name ]),

	/** Removes a client made with `wgp2p client`, with its record. */
	cliRemove: name => run(COMMAND, [ 'client', 'remove', name ])
});

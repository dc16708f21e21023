'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';
'require wgp2p.words as words';

/* A client's profile: the text that WireGuard's apps and wg-quick(8) take. profile.py of the daemon says why it has these
 * peers; both are held to tests/golden/profiles.json. */

const KINDS = [ 'one', 'classic', 'proxied' ];
const KEEPALIVE_S = 25; // and never more: many NATs forget a UDP flow after 30 s
const LEAST_MTU = 1280, MOST_MTU = 1420;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/; // it stands in a shell's quotes and in comments

/* No tabs: where it is pasted, a shell may take them for a wish to complete a word. */
const SERVER_SCRIPT = `# For the public server, there as root: adds the client @NAME@ to its WireGuard. Twice does no harm.
(
key='@KEY@' allowed='@ALLOWED@' device='@DEVICE@'
for interface in $(wg show interfaces); do
  if wg show "$interface" peers | grep -qxF "$device"; then break; fi
  interface=
done
if [ -z "$interface" ]; then
  echo "No WireGuard here has the remote device as a peer: is this the public server?" >&2
  exit 1
fi
if [ -f /etc/config/wgp2p ] && ! grep -qF "$key" /etc/config/wgp2p &&
    grep -qE "^[[:space:]]*option[[:space:]]+name[[:space:]]+['\\"]?@NAME@['\\"]?[[:space:]]*$" /etc/config/wgp2p; then
  echo "Another client here has the name @NAME@: first take it out of WireGuard and /etc/config/wgp2p." >&2
  exit 1
fi
config=/etc/wireguard/$interface.conf
if uci -q get "network.$interface" >/dev/null 2>&1; then # OpenWrt
  if ! grep -qF "$key" /etc/config/network; then
    uci batch >/dev/null <<END
add network wireguard_$interface
set network.@wireguard_\${interface}[-1].description='@NAME@'
set network.@wireguard_\${interface}[-1].public_key='$key'
@UCI@
commit network
END
  fi
elif [ -f "$config" ]; then # wg-quick
  grep -qF "$key" "$config" || cat >>"$config" <<END

# @NAME@
[Peer]
PublicKey = $key
AllowedIPs = $allowed
END
else
  echo "Add the peer to the configuration of $interface by hand, or it is gone after a restart." >&2
fi
wg set "$interface" peer "$key" allowed-ips "$allowed"
if [ -f /etc/config/wgp2p ] && ! grep -qF "$key" /etc/config/wgp2p; then
  cat >>/etc/config/wgp2p <<END

config peer
  option name '@NAME@'
  option public_key '$key'
END
  wgp2p reload
fi
)
`;

function within(number, least, most) {
	return Number.isInteger(number) && number >= least && number <= most;
}

/* `rows`: [what, key]. Each must be a key, and no two the same. */
function checkKeys(rows) {
	const seen = new Set();

	for (const [ what, key ] of rows) {
		if (!addresses.isKey(key))
			throw new Error(_('%s is no key of WireGuard (44 characters of base64).').format(what));
		if (seen.has(key))
			throw new Error(_('%s is another one’s, too.').format(what));
		seen.add(key);
	}
}

/* An address and the length of its network's prefix, that of a single address where there is none. */
function withPrefix(text) {
	return `${addresses.canonical(text.split('/')[0])}/${addresses.network(text).length}`;
}

/* Networks in canonical text, each once, in their order. */
function networks(texts) {
	return [ ...new Set(texts.map(text => String(addresses.network(text)))) ];
}

function peer(comment, publicKey, endpoint, allowedIps, keepalive) {
	return [ '', `# ${comment}`, '[Peer]', `PublicKey = ${publicKey}`,
		...(endpoint == null ? [] : [ `Endpoint = ${addresses.checkEndpoint(endpoint)}` ]),
		...(allowedIps.length ? [ `AllowedIPs = ${allowedIps.join(', ')}` ] : []),
		`PersistentKeepalive = ${keepalive}` ];
}

return baseclass.extend({
	/** The kinds of profile: connects anywhere; with two endpoints and no beacon; through the server alone. */
	KINDS,

	/** The text of a profile.
	 * @param {string} given.kind one of KINDS.
	 * @param {string} given.privateKey the client's; '' when it is not here: then the words `(your private key)` stand in
	 * its place.
	 * @param {string[]} given.addresses the client's own in the tunnel, with or without prefix length.
	 * @param {number} given.listenPort the client's own.
	 * @param {string[]} [given.dns] addresses.
	 * @param {?number} [given.mtu] bytes, 1280 to 1420; null: the app takes its own.
	 * @param {number} [given.keepalive] seconds, 1 to 25.
	 * @param {{publicKey: string, endpoint: string, allowedIps: string[]}} given.server the public server.
	 * @param {{publicKey: string, endpoint: string, allowedIps: string[]}} given.device this router; in `one` the endpoint
	 * is the beacon's.
	 * @param {string} [given.beacon] a public key, for `one`.
	 * Throws an Error that says what is wrong, and has no key in it. */
	profile({ kind, privateKey, addresses: own, listenPort, dns = [], mtu = null, keepalive = KEEPALIVE_S, server, device, beacon }) {
		if (!KINDS.includes(kind))
			throw new Error(_('There is no such kind of profile: %s').format(words.visible(kind)));

		checkKeys([
			...(privateKey === '' ? [] : [ [ _('The client’s private key'), privateKey ] ]),
			[ _('The key of the public server'), server.publicKey ], [ _('The key of this router'), device.publicKey ],
			...(kind == 'one' ? [ [ _('The key of the beacon'), beacon ] ] : [])
		]);
		if (!own.length)
			throw new Error(_('The client needs an address.'));
		if (!within(listenPort, 1, 65535))
			throw new Error(_('The listen port must be from 1 to 65535.'));
		if (!within(keepalive, 1, KEEPALIVE_S))
			throw new Error(_('The keepalive must be from 1 to %d seconds.').format(KEEPALIVE_S));
		if (mtu != null && !within(mtu, LEAST_MTU, MOST_MTU))
			throw new Error(_('The MTU must be from %d to %d bytes.').format(LEAST_MTU, MOST_MTU));

		const toServer = networks(server.allowedIps), toDevice = networks(device.allowedIps);
		const lines = [ '[Interface]', `PrivateKey = ${privateKey || '(your private key)'}`,
			`Address = ${own.map(withPrefix).join(', ')}`, `ListenPort = ${listenPort}`,
			...(mtu == null ? [] : [ `MTU = ${mtu}` ]),
			...(dns.length ? [ `DNS = ${dns.map(addresses.canonical).join(', ')}` ] : []) ];
		const text = (...peers) => [ ...lines, ...peers.flat() ].join('\n') + '\n';

		if (kind == 'proxied')
			return text(peer('public server, which routes to the remote device', server.publicKey, server.endpoint,
				networks([ ...toServer, ...toDevice ]), keepalive));

		const both = toServer.find(network => toDevice.includes(network));

		if (both)
			throw new Error(_('%s would lead to the public server and to this router.').format(both));

		const first = peer('public server', server.publicKey, server.endpoint, toServer, keepalive);

		if (kind == 'classic')
			return text(first, peer('remote device', device.publicKey, device.endpoint, toDevice, keepalive));

		return text(first, peer('remote device: it chooses the path', device.publicKey, null, toDevice, keepalive),
			peer('beacon: keeps the way to the remote device open', beacon, device.endpoint, [], keepalive));
	},

	/** A piece of shell that adds the client to the public server, an OpenWrt router or a machine with wg-quick. It finds
	 * the interface by the device's key. Nothing in it is secret.
	 * @param {string} name as `wgp2p client add` takes names, letters, digits, `_`, `.` and `-`.
	 * @param {string} publicKey the client's.
	 * @param {string[]} hosts its addresses in the tunnel.
	 * @param {string} deviceKey the public key of this router.
	 * Throws an Error. */
	serverScript(name, publicKey, hosts, deviceKey) {
		if (!NAME.test(name))
			throw new Error(_('A client’s name is made of 1 to 32 letters, digits, _ . and -, and starts with none of . -'));
		checkKeys([ [ _('The client’s key'), publicKey ], [ _('The key of this router'), deviceKey ] ]);

		const allowed = networks(hosts);
		const values = { NAME: name, KEY: publicKey, ALLOWED: allowed.join(','), DEVICE: deviceKey,
			UCI: allowed.map(network => `add_list network.@wireguard_\${interface}[-1].allowed_ips='${network}'`).join('\n') };

		return SERVER_SCRIPT.replace(/@([A-Z]+)@/g, (all, word) => values[word] ?? all);
	}
});

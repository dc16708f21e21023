'use strict';
'require baseclass';
'require wgp2p.addresses as addresses';

/* Pure: no DOM, no rpc. Both ways between this page and the public server, as text that people carry: the command that
 * lets this router in there, and what the server's installer prints (advice.py), read back.
 *
 * The command runs as root in a shell on another machine. So nothing gets into it that was not checked down to the
 * letters it is made of, and each value is quoted all the same. Clipboards and terminals change text, so the command
 * has no tab (a shell completes words with it) and no exclamation mark before a letter (bash puts old commands there). */

const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,30}[A-Za-z0-9_])?$/;
const HOST = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const TOKEN = /^[\x21-\x7e]{32,256}$/;
const UNKNOWN = 'SERVER'; // what the installer prints for a host that it does not know
const LIMIT = 65536;      // letters of a text that is read

const SERVER = /This server: public key (\S{1,64}), endpoint (\S{1,300}):(\d{1,5}), address in the tunnel (\S{1,64}), port (\d{1,5}) \(TCP/g;
const SECRET = /The token of '([^']{1,64})', which is a secret: (\S{32,256})(?= |$)/g;

const SCRIPT = `\
# For the public server, there as root: lets the router @NAME@ in. Twice does no harm.
(
name=@NAME@ key=@KEY@ hosts=@HOSTS@ own=@OWN@
fail() { echo "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "This must run as root."
openwrt='' installer=''
if [ -f /etc/config/network ] && command -v uci >/dev/null; then
  openwrt=1
elif command -v wgp2p >/dev/null; then
  installer=wgp2p
elif [ -f wgp2p.pyz ]; then
  installer="python3 wgp2p.pyz"
else
  fail "Copy the file wgp2p.pyz into the folder $(pwd) of this machine, then run this command again."
fi
if [ -z "$(wg show interfaces 2>/dev/null)" ]; then
  [ -z "$openwrt" ] || fail "This router is no public server yet: first choose that role in its own page, WireGuard P2P, Set up."
  [ -z "$(ls /etc/wireguard/*.conf 2>/dev/null)" ] || fail "WireGuard is set up here, but does not run. To start it: systemctl enable --now wg-quick@wg0"
  echo "There is no WireGuard here yet: setting up wg0."
  if command -v wg-quick >/dev/null; then :
  elif command -v apt-get >/dev/null; then apt-get update && apt-get install -y wireguard-tools
  elif command -v dnf >/dev/null; then dnf install -y wireguard-tools
  fi || exit 1
  command -v wg-quick >/dev/null || fail "Install WireGuard (the package wireguard-tools), then run this command again."
  (umask 077 && mkdir -p /etc/wireguard && printf '[Interface]\\nAddress = %s\\nListenPort = 51820\\nPrivateKey = %s\\n' "$own" "$(wg genkey)" >/etc/wireguard/wg0.conf) || exit 1
  systemctl enable --now wg-quick@wg0 || fail "wg0 does not start, see above."
fi
interface=
for word in $(wg show interfaces); do
  if wg show "$word" peers | grep -qxF "$key"; then interface=$word; break; fi
done
if [ -z "$interface" ]; then
  for host in $hosts; do
    found=$(ip -o route get "\${host%/*}" 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')
    for word in $(wg show interfaces); do
      [ "$word" = "$found" ] || continue
      # A VPN that any address leads to is not it.
      wg show "$word" allowed-ips | tr '\\011 ' '\\012\\012' | grep -qxF -e 0.0.0.0/0 -e ::/0 || interface=$word
    done
  done
fi
if [ -z "$interface" ]; then
  echo "No tunnel of this server holds the address of the router, $hosts. Choose another one on the router. The tunnels here:" >&2
  for word in $(wg show interfaces); do ip -o addr show dev "$word" | sed 's/^[0-9]*: //; s/ scope .*//' >&2; done
  exit 1
fi
for host in $hosts; do
  if wg show "$interface" allowed-ips | grep -vF "$key" | tr '\\011 ' '\\012\\012' | grep -qxF "$host"; then
    fail "The address $host belongs to another peer of $interface already. Choose another one on the router. Taken are: $(wg show "$interface" allowed-ips | cut -f 2 | tr '\\012' ' ')"
  fi
done
# What is routed to it already stays, such as a network behind it.
routed=$(wg show "$interface" allowed-ips | grep -F "$key" | cut -f 2 | grep /)
for host in $hosts; do
  case " $routed " in *" $host "*) ;; *) routed="\${routed:+$routed }$host" ;; esac
done
allowed=$(echo "$routed" | tr ' ' ',')
if [ -n "$openwrt" ]; then
  say() { ubus call wgp2p status | jsonfilter -e "@.$1"; }
  here="publishers[@.interface='$interface']"
  port=$(say "$here.port")
  [ -n "$port" ] || fail "On $interface this router is no public server yet: first choose that role in its own page, WireGuard P2P, Set up."
  section=$(uci show wgp2p | grep -F ".public_key='$key'" | head -n 1 | cut -d . -f 1,2)
  named=$(uci show wgp2p | grep -F ".name='$name'" | head -n 1 | cut -d . -f 1,2)
  [ -z "$named" ] || [ "$named" = "$section" ] || fail "Another peer of this server has the name $name already. Choose another name for the router."
  [ -z "$(uci changes network; uci changes wgp2p)" ] || fail "Somebody has changes here that are not saved: see uci changes."
  uci show network | grep -qF ".public_key='$key'" || uci batch >/dev/null <<END
add network wireguard_$interface
set network.@wireguard_\${interface}[-1].description='$name'
set network.@wireguard_\${interface}[-1].public_key='$key'
$(for host in $hosts; do echo "add_list network.@wireguard_\${interface}[-1].allowed_ips='$host'"; done)
commit network
END
  wg set "$interface" peer "$key" allowed-ips "$allowed" || exit 1
  [ -n "$section" ] || section=wgp2p.$(uci add wgp2p peer)
  uci set "$section.name=$name"
  uci set "$section.public_key=$key"
  uci set "$section.device=1"
  uci commit wgp2p
  wgp2p reload || exit 1
  public=$(say "wan.address[0]")
  case $public in
  '' | 10.* | 192.168.* | 172.1[6-9].* | 172.2?.* | 172.3[01].* | 100.6[4-9].* | 100.[7-9]?.* | 100.1[01]?.* | 100.12[0-7].* | f*) public=SERVER ;;
  *:*) public="[$public]" ;;
  esac
  echo "This server: public key $(wg show "$interface" public-key), endpoint $public:$(wg show "$interface" listen-port),"
  echo "address in the tunnel $(say "$here.address[0]"), port $port (TCP, in the tunnel only)."
else
  config=/etc/wireguard/$interface.conf
  if [ -f "$config" ]; then
    grep -qF "$key" "$config" || cat >>"$config" <<END

# $name
[Peer]
PublicKey = $key
AllowedIPs = $allowed
END
  else
    echo "Add the peer to the configuration of $interface by hand, or it is gone after a restart." >&2
  fi
  wg set "$interface" peer "$key" allowed-ips "$allowed" || exit 1
  $installer install --role publisher --interface "$interface" --device "$name=$key" || exit 1
fi
echo "The token of '$name', which is a secret: $(wgp2p token "$name")"
)
`;

/* One word for a shell. */
function quote(text) {
	return "'" + text.replace(/'/g, "'\\''") + "'";
}

function address(text) {
	const [ ip, length, ...rest ] = text.split('/');

	if (rest.length || (length != null && !/^\d{1,3}$/.test(length)))
		throw new Error(_('“%s” is not an address.').format(text.slice(0, 64)));

	return length == null ? addresses.canonical(ip) : `${addresses.canonical(ip)}/${addresses.network(text).length}`;
}

/* In canonical text, '' where it is none. */
function port(text) {
	const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;

	return number >= 1 && number <= 65535 ? String(number) : '';
}

/* A host's name or address in canonical text, or ''. */
function hostOf(text) {
	const bare = text.replace(/^\[(.*)\]$/, '$1');

	// What is made of digits and dots alone, and is no address, is nobody's name either.
	return addresses.ip(bare) || (HOST.test(bare) && !/^[\d.]+$/.test(bare) ? bare.toLowerCase() : '');
}

return baseclass.extend({
	quote,

	/** Throws an Error unless this is a name for a router: it becomes a file's name on the server. */
	checkName(text) {
		if (!NAME.test(text))
			throw new Error(_('The router’s name is made of 1 to 32 letters from a to z, digits, “_”, “.” and “-”, and does not begin or end with “.” or “-”.'));
	},

	isName: text => NAME.test(text),

	/** Whether this can be a token: 32 to 256 visible ASCII characters. */
	isToken: text => TOKEN.test(text),

	/** A host's name or address in canonical text, without brackets. Throws an Error. */
	host(text) {
		const host = hostOf(text);

		if (!host)
			throw new Error(_('“%s” is neither a name nor an address of a server.').format(text.slice(0, 64)));

		return host;
	},

	/** An address, or an address and the length of its network's prefix, in canonical text. Throws an Error. */
	address,

	/** The command for the public server.
	 * @param {string} name the router's, as the server is to call it
	 * @param {string} key its public key
	 * @param {string[]} own its addresses in the tunnel
	 * @param {string} server the server's own address in the tunnel with prefix length, for a server without WireGuard
	 * @returns {string} several lines. Throws an Error for a value that does not belong there. */
	command(name, key, own, server) {
		this.checkName(name);
		if (!addresses.isKey(key))
			throw new Error(_('The public key of the WireGuard interface is not known.'));
		if (!own.length)
			throw new Error(_('The WireGuard interface needs an address.'));

		const values = { NAME: name, KEY: key, OWN: address(server),
			HOSTS: addresses.hosts(own.map(text => address(text).split('/')[0])).join(' ') };

		return SCRIPT.replace(/@(NAME|KEY|HOSTS|OWN)@/g, (word, which) => quote(values[which]));
	},

	/** What somebody has entered of a public server, checked and in canonical text: {publicKey, host, port, address,
	 * apiPort}. Throws an Error that says what is missing or wrong. */
	server({ publicKey, host, port: number, address: own, apiPort }) {
		if (!host)
			throw new Error(_('Enter the name or the address under which the internet reaches the public server.'));
		if (!port(number))
			throw new Error(_('The UDP port is a number from 1 to 65535.'));
		if (!addresses.isKey(publicKey))
			throw new Error(_('The public key has 44 letters, digits, “+” and “/”, and ends with “=”. The server shows it.'));
		if (!own || own.includes('/'))
			throw new Error(_('Enter the public server’s own address in the tunnel, such as 10.7.0.1.'));
		if (!port(apiPort))
			throw new Error(_('The TCP port of wgp2p is a number from 1 to 65535.'));

		return { publicKey, host: this.host(host), port: port(number), address: address(own), apiPort: port(apiPort) };
	},

	/** Reads what the installer, or the command above, has printed. `device`: whose token to take; where the text has
	 * only one it is that one.
	 * @returns {object} publicKey, host, port, address, apiPort, token: text, '' for what the text does not say or says in
	 * a way that cannot be right; nothing at all of it: null. */
	parse(text, device) {
		const line = text.slice(-LIMIT).replace(/\s+/g, ' ').trim();
		const found = Array.from(line.matchAll(SERVER)).pop();
		const tokens = new Map(Array.from(line.matchAll(SECRET), match => [ match[1], match[2] ]));
		const token = tokens.get(device) ?? (tokens.size == 1 ? tokens.values().next().value : '');

		if (!found && !token)
			return null;

		const [ , publicKey, host, number, own, api ] = found ?? [];

		return { publicKey: addresses.isKey(publicKey ?? '') ? publicKey : '',
			host: !host || host == UNKNOWN ? '' : hostOf(host), port: port(number ?? ''),
			address: addresses.ip(own), apiPort: port(api ?? ''),
			token: TOKEN.test(token) ? token : '' };
	}
});

'use strict';
'require form';
'require uci';
'require ui';
'require view';
'require wgp2p.backend as backend';
'require wgp2p.draw as draw';
'require wgp2p.fields as fields';
'require wgp2p.options as options';
'require wgp2p.peertable as peertable';

/* The page “Settings”: every option of /etc/config/wgp2p, as docs/config.md has them. */

const readonly = !L.hasViewPermission() || null;

/* Text that is only shown. */
function say(section, name, title, draws) {
	section.option(form.DummyValue, name, title).renderWidget = draws;
}

function general(map, main) {
	const section = map.section(form.NamedSection, main, 'wgp2p', _('General'));

	fields.flag(section, 'enabled', '1', _('Switched on'), _('Without this wgp2p does nothing, and opens nothing.'));
	fields.flag(section, 'open_port', '1', _('Open the WireGuard port'), _('The firewall lets WireGuard in from the internet. On a public server it also lets remote devices ask through the tunnel.'));
	fields.flag(section, 'preserve_port', '1', _('Keep the WireGuard port'), _('WireGuard leaves this router with its own port number, so that clients find it where the public server sees it.'));
	fields.put(section, form.DynamicList, 'preserve', _('Keep these ports, too'), _('UDP ports of WireGuard devices in the LAN that leave with their own number as well. Needs “Keep the WireGuard port”.'), fields.port);
	fields.flag(section, 'at_home', '1', _('Clients at home'), _('A client in this router’s own LAN, which sends to the public address, is sent to the router itself.'));
	fields.put(section, form.DynamicList, 'wan', _('Devices to the internet'), _('Network devices such as eth1 or pppoe-wan. None: the one through which the public server is reached.'), fields.device);
	fields.choice(section, 'sweep', [ [ 'block', _('the likely ports') ], [ 'full', _('the likely ports, then all others, slowly') ], [ 'off', _('no') ] ], _('Search for ports'), _('Some mobile networks give a client a new port for each destination. wgp2p can reach such a client by trying the ports that it may have.'));
	fields.choice(section, 'log_level', [ [ 'info', _('information') ], [ 'error', _('errors') ], [ 'warning', _('warnings') ], [ 'debug', _('everything') ] ], _('System log'), _('What wgp2p writes into the system log, and what is more serious than that.'));
}

/* The field for a token, which goes to the daemon and nowhere else. */
function token(section, id) {
	const all = uci.sections('wgp2p', 'subscriber');
	const own = uci.get('wgp2p', id);
	const label = options.label(all, own);
	const said = E('div', { 'role': 'status' });
	const field = E('input', { 'type': 'password', 'class': 'cbi-input-text', 'autocomplete': 'off', 'aria-label': _('Token'), 'disabled': readonly });
	const send = async () => {
		const typed = field.value.trim();

		field.value = '';
		try {
			await backend.token(all.length == 1 ? '' : label, typed);
			draw.setText(said, _('The router has the token now.'));
		}
		catch (error) {
			draw.setText(said, error.message);
		}
	};

	return E('div', {}, [
		field, ' ', E('button', { 'class': 'btn cbi-button', 'type': 'button', 'disabled': readonly, 'click': ui.createHandlerFn(this, send) }, [ _('Send to the router') ]), said,
		own.token ? draw.notice('warning', _('The token stands in /etc/config/wgp2p, where everybody can read it who may read the configuration. Take the line “option token” out of that file, apply it, and then type the token here.')) : ''
	]);
}

function subscribers(map) {
	const section = map.section(form.TypedSection, 'subscriber', _('Public servers'), _('The public servers that this router asks where its clients are. Give each a name.'));

	section.addremove = true;
	fields.flag(section, 'enabled', '1', _('Switched on'));
	fields.wireguard(section, _('The tunnel through which the public server is reached, and whose clients are taken care of.'), true);
	fields.put(section, form.Value, 'publisher', _('Address in the tunnel'), _('The public server’s own address in the tunnel, such as 10.7.0.1.'), { datatype: 'ipaddr', rmempty: false });
	fields.put(section, form.Value, 'port', _('Port'), _('The TCP port at which it answers.'), { ...fields.port, placeholder: '8080' });
	say(section, '_token', _('Token'), id => token(section, id));
	fields.put(section, form.Value, 'token_file', _('File with the token'), _('Empty: the file “token” in the folder for what is kept. Two public servers need two files.'), { ...fields.path, placeholder: '/etc/wgp2p/token' });
	fields.put(section, form.Value, 'server_host', _('Name of the public server'), _('Where its address changes: the name that is looked up again when the server is out of reach, such as vpn.example.org.'), { datatype: 'host' });
	fields.put(section, form.Value, 'keepalive', _('Keepalive'), _('Seconds between two signs of life to clients that are online.'), { ...fields.whole(1, 120), placeholder: '25' });
	fields.put(section, form.Value, 'stale_after', _('Offline after'), _('Seconds without a sign of life, after which a client counts as offline. WireGuard itself gives one every 120 seconds.'), { ...fields.whole(125, 86400), placeholder: '180' });
}

function publishers(map) {
	const section = map.section(form.TypedSection, 'publisher', _('This is a public server'), _('Only where this machine has a public address: for each tunnel whose peers it tells remote devices about.'));

	section.addremove = section.anonymous = true;
	fields.flag(section, 'enabled', '1', _('Switched on'));
	fields.wireguard(section, _('The tunnel whose peers are told to remote devices.'), true);
	fields.put(section, form.DynamicList, 'address', _('Own addresses'), _('Where it answers, in the tunnel only. None: at every address of the interface.'), { datatype: 'ipaddr' });
	fields.put(section, form.Value, 'port', _('Port'), _('The TCP port at which it answers.'), { ...fields.port, placeholder: '8080' });
	fields.flag(section, 'relay', '1', _('Relay'), _('Passes encrypted packets on between remote devices and their clients where no direct path exists. One tunnel of a machine can do so.'));
	fields.put(section, form.Value, 'relay_limit', _('Limit of the relay'), _('Mbit/s between one device and one client, in each direction. 0: no limit.'), { ...fields.whole(0, 10000), placeholder: '0' });
}

function portmaps(map) {
	const section = map.section(form.TypedSection, 'portmap', _('Port mapping'), _('Where this router is behind another one: has that one let the WireGuard port through.'));

	section.addremove = section.anonymous = true;
	fields.flag(section, 'enabled', '0', _('Switched on'));
	fields.wireguard(section, _('Whose port is mapped. None: only the forwards below.'), false);
	fields.choice(section, 'protocol', [ [ 'auto', _('automatic') ], [ 'pcp', 'PCP' ], [ 'natpmp', 'NAT-PMP' ], [ 'upnp', 'UPnP' ] ], _('Protocol'), _('How the other router is asked. Automatic tries one after another.'));
	fields.put(section, form.Value, 'gateway', _('The other router'), _('Its IPv4 address. Empty: the next one on the way to the public server.'), { datatype: 'ip4addr' });
	fields.put(section, form.Value, 'lifetime', _('Lifetime'), _('For how many seconds a mapping is asked for. It is renewed at half of that.'), { ...fields.whole(120, 86400), placeholder: '7200' });
	fields.put(section, form.DynamicList, 'forward', _('Forwards'), _('For WireGuard devices in the LAN: the port outside, the device’s address, and its port if that is another one, such as 51821:192.168.1.20:51820.'), fields.forward);
}

function advanced(map, main) {
	const section = map.section(form.NamedSection, main, 'advanced', _('Advanced')); // the tab's name; the section is known by its own

	fields.choice(section, 'backend', [ [ 'auto', _('automatic') ], [ 'netlink', _('the kernel') ], [ 'uapi', _('a userspace WireGuard') ], [ 'tool', _('the program wg') ] ], _('Talk to WireGuard by'), _('A change takes effect when the service is started again.'));
	fields.put(section, form.Value, 'keep_dir', _('Folder for what is kept'), _('Tokens, and what must survive a reboot.'), { ...fields.path, placeholder: '/etc/wgp2p' });
	fields.put(section, form.Value, 'state_dir', _('Folder for what may be lost'), _('Should be in memory. A change takes effect when the service is started again.'), { ...fields.path, placeholder: '/var/run/wgp2p' });
	fields.put(section, form.Value, 'sweep_rate', _('Search: packets a second'), _('At most, to all clients together.'), { ...fields.whole(10, 10000), placeholder: '1000' });
	fields.put(section, form.Value, 'sweep_entries', _('Search: open ports'), _('The most ports that are open at once, to all clients together. Each is held for 30 seconds by the NAT in front of this router.'), { ...fields.whole(64, 16384), placeholder: '2048' });
	fields.put(section, form.Value, 'sweep_share', _('Search: share of the connection table'), _('Percent. The search does not fill this router’s own table beyond this.'), { ...fields.whole(1, 90), placeholder: '50' });
	say(section, '_hooks', _('Scripts'), () => E('div', {}, [ _('Scripts that are to run when the public address changes go into /etc/hotplug.d/wgp2p/ on this router, by SSH: they cannot be changed here.') ]));
}

return view.extend({
	load: () => uci.load([ 'wgp2p', 'network' ]),

	render() {
		const map = new form.Map('wgp2p', _('WireGuard P2P: Settings'), _('What is left empty has the value shown in grey.'));
		const main = uci.sections('wgp2p', 'wgp2p')[0]?.['.name'] ?? uci.add('wgp2p', 'wgp2p', 'main');

		map.tabbed = true;
		map.readonly = readonly;
		general(map, main);
		subscribers(map);
		publishers(map);
		peertable.add(map);
		portmaps(map);
		advanced(map, main);

		return map.render();
	}
});

'use strict';
'require form';
'require uci';
'require ui';
'require view';
'require wgp2p.backend as backend';
'require wgp2p.draw as draw';
'require wgp2p.options as options';
'require wgp2p.peers as peers';

const CONFIGS = [ 'wgp2p', 'network' ];
const KINDS = { flag: form.Flag, choice: form.ListValue, interface: form.ListValue, list: form.DynamicList, value: form.Value };

/* Adds a field to a section of the form. */
function field(section, given, interfaces) {
	const option = section.option(KINDS[given.kind], given.name, given.title, given.help);

	if (given.kind == 'interface') {
		if (given.optional)
			option.value('', _('none'));
		interfaces.forEach(name => option.value(name));
	}
	for (const [ value, words ] of Object.entries(given.values ?? {}))
		option.value(value, words);
	option.datatype = given.datatype;
	option.placeholder = given.hint;
	option.rmempty = !(given.needed || given.kind == 'interface' && !given.optional);
	if (given.initial != null)
		option.default = given.initial;
	if (given.validate)
		option.validate = (_id, value) => value === '' || [].concat(value).map(given.validate).find(said => said !== true) || true;

	return option;
}

function sections(map, type, title, about, more) {
	const section = map.section(form.TypedSection, type, title, about);

	return Object.assign(section, more);
}

return view.extend({
	async load() {
		await Promise.all(CONFIGS.map(config => uci.load(config)));
		if (!uci.sections('wgp2p', 'wgp2p').length)
			uci.add('wgp2p', 'wgp2p', 'main');
	},

	render() {
		const network = uci.sections('network'), wgp2p = uci.sections('wgp2p');
		const interfaces = this.interfaces(network, wgp2p);
		const map = new form.Map('wgp2p', _('Settings'), _('All options of /etc/config/wgp2p. A change takes effect with “Save & Apply”, and no path is dropped for it.'));
		const all = (section, list) => list.forEach(given => field(section, given, interfaces));

		map.tabbed = true;
		all(sections(map, 'wgp2p', _('General'), null, { anonymous: true }), options.general);
		all(sections(map, 'subscriber', _('Public servers'), _('For a router that is to be reached: the public servers that it follows. Usually one.'),
			{ addremove: true }), options.subscriber);
		all(sections(map, 'publisher', _('This is a public server'), _('For a router with a public address that helps others.'),
			{ addremove: true }), options.publisher);
		this.peers(map, network, wgp2p);
		all(sections(map, 'portmap', _('Port mapping'), _('For a router behind another router. Profiles then lead to the mapped port, and a client connects directly from more networks.'),
			{ addremove: true, anonymous: true }), options.portmap);
		all(sections(map, 'wgp2p', _('Advanced'), null, { anonymous: true }), options.advanced);

		return map.render().then(node => E('div', {}, [ node, ...this.tokens(wgp2p), ...this.hooks() ]));
	},

	/* Those that there are, and those that are named and missing: a field must not take another one in silence. */
	interfaces(network, wgp2p) {
		return Array.from(new Set([ ...peers.interfaces(network), ...wgp2p.map(section => section.interface).filter(name => name) ]));
	},

	peers(map, network, wgp2p) {
		const rows = peers.join(network, wgp2p);
		const section = map.section(form.TableSection, 'peer', _('Peers'),
			_('The peers of the WireGuard interfaces. One that is left alone keeps the endpoint and keepalive that it has.'));
		const row = id => rows.find(one => one.id == id);
		const list = wgp2p.some(one => one['.type'] == 'publisher') ? [ ...options.peer, ...options.device ] : options.peer;
		const label = section.option(form.DummyValue, '_peer', _('Peer'));

		section.anonymous = true;
		section.cfgsections = () => rows.map(one => one.id);
		label.load = id => row(id).key;
		label.renderWidget = id => E('div', {}, [ draw.text(row(id).label), E('br'), E('small', {}, [
			row(id).interface ? draw.text(row(id).interface) : _('not in WireGuard') ]) ]);
		label.write = label.remove = () => null;
		for (const given of list) {
			const option = field(section, given, []);

			option.load = id => row(id).values[given.name];
			option.write = (id, value) => uci.set('wgp2p', this.sectionOf(row(id), rows), given.name, value);
			option.remove = id => row(id).section && uci.unset('wgp2p', row(id).section, given.name);
		}
	},

	/* The section of a peer, made when it has none. */
	sectionOf(row, rows) {
		if (!row.section) {
			row.section = uci.add('wgp2p', 'peer');
			for (const [ option, value ] of Object.entries(peers.beginning(row, rows)))
				uci.set('wgp2p', row.section, option, value);
		}

		return row.section;
	},

	/* -- tokens: handed over, never loaded ------------------------------------------------------------------------- */

	tokens(wgp2p) {
		const servers = peers.subscribers(wgp2p).filter(one => one.enabled && !one.token);
		const open = peers.withToken(wgp2p);
		const warning = open.length ? [ draw.notice('warning', _('A token stands in /etc/config/wgp2p itself, section %s, where every page of LuCI can read it. Take the option “token” out there, and give the token here.')
			.format(open.join(', '))) ] : [];

		if (!servers.length && !open.length)
			return [];

		return [ E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ _('Tokens') ]),
			E('div', { 'class': 'cbi-section-descr' }, [ _('A token is what “wgp2p token NAME” shows on the public server. It goes into a file of this router, takes effect at once, and is never shown again.') ]),
			...warning, ...servers.map(one => this.token(one.label)) ]) ];
	},

	token(label) {
		const input = E('input', { 'type': 'password', 'class': 'cbi-input-text', 'name': `token-${label}`, 'autocomplete': 'off',
			'aria-label': _('Token'), 'disabled': this.readonly() });
		const said = E('em', {}, []);
		const give = async () => {
			const token = input.value.trim();

			draw.setText(said, '');
			if (token == '')
				return draw.setText(said, _('Paste the token first.'));
			try {
				await backend.token(label, token);
				input.value = '';
				draw.setText(said, _('The service has it.'));
			}
			catch (error) {
				draw.failure(error);
			}
		};

		return E('div', { 'class': 'cbi-value' }, [
			E('label', { 'class': 'cbi-value-title' }, [ draw.text(label) ]),
			E('div', { 'class': 'cbi-value-field' }, [ input, ' ', E('button', { 'class': 'btn cbi-button cbi-button-apply',
				'disabled': this.readonly(), 'click': ui.createHandlerFn(this, give) }, [ _('Hand over') ]), ' ', said ]) ]);
	},

	hooks() {
		return [ E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ _('Scripts of your own') ]),
			E('div', { 'class': 'cbi-section-descr' }, [ _('Every script in /etc/hotplug.d/wgp2p/ is run when the public address of this router changes, or a mapped port: for dynamic DNS, for example. They are put there by ssh; the documentation has examples.') ]) ]) ];
	},

	readonly() {
		return !L.hasViewPermission() || null;
	}
});

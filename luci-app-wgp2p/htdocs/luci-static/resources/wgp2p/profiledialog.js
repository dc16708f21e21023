'use strict';
'require baseclass';
'require dom';
'require ui';
'require wgp2p.clients as clients';
'require wgp2p.draw as draw';
'require wgp2p.profile as profiles';
'require wgp2p.words as words';

/* The dialog with a client's profile: as a code to scan, as text to edit, as a file. The fields make the text; code and
 * file are made of the text as it stands. What it shows is gone from the page when it is closed. */

const KINDS = {
	one: { title: _('Connects anywhere'), about: _('The usual one. Directly where the networks allow it, through the public server where they do not, and it changes between the two by itself. The server only passes on and cannot read. While the tunnel is on, the phone sends a small packet about every 5 seconds.') },
	classic: { title: _('Direct only'), about: _('Keeps the radio less busy. It does not connect where no direct path is possible.') },
	proxied: { title: _('Through the server'), about: _('A fallback: everything goes to the public server, which can read it and routes it to this router. Server and router must be set up for that, and the client needs an address that this router expects from the server (documentation, “routing”). Switch on one of the tunnels at a time.') }
};
const KEEPALIVES = {
	25: _('The least battery. A phone that lies idle is found up to 25 seconds after it has changed its network.'),
	20: _('A phone that lies idle is found up to 20 seconds after it has changed its network. That takes a little more battery.'),
	15: _('A phone that lies idle is found up to 15 seconds after it has changed its network. Its radio wakes up almost twice as often for that.')
};
const MARKED = 'text-decoration:underline; cursor:pointer'; // openwrt-2020 takes the triangle away
const COMPLETE = /^\s*PrivateKey\s*=\s*[A-Za-z0-9+\/]{43}=\s*$/m;

const list = text => text.split(/[\s,]+/).filter(word => word != '');

function row(title, about, field) {
	return E('div', { 'class': 'cbi-value' }, [
		E('label', { 'class': 'cbi-value-title' }, [ title ]),
		E('div', { 'class': 'cbi-value-field' }, [ field, typeof about == 'string' ? described(about) : about ])
	]);
}

function described(text) {
	return E('div', { 'class': 'cbi-value-description' }, [ text ]);
}

function input(name, value, changed) {
	return E('input', { 'type': 'text', 'class': 'cbi-input-text', 'name': name, 'value': value, 'input': changed,
		'autocomplete': 'off', 'spellcheck': 'false' });
}

function area(name, rows, text, more) {
	return E('textarea', Object.assign({ 'name': name, 'rows': rows, 'spellcheck': 'false', 'autocomplete': 'off',
		'style': 'width:100%; font-family:monospace; white-space:pre; overflow-x:auto' }, more), [ text ]);
}

return baseclass.extend({
	/** Shows the dialog.
	 * @param {string} given.name the client's.
	 * @param {object} given.recipe as wgp2p.profile takes it, without `kind`. `privateKey` is '' when it is not here.
	 * @param {boolean} given.kept whether the router keeps the private key.
	 * @param {string} given.script what the public server must run.
	 * @param {boolean} given.added whether the client is new.
	 * @param {string} given.noted under which endpoint its profile is known to have this device.
	 * @param {function(string): Promise} [given.note] notes another endpoint. */
	show(given) {
		const recipe = given.recipe;
		let kind = 'one';

		const text = area('profile', 14, '', { 'input': () => follow() });
		const script = area('script', 6, given.script, { 'readonly': true });
		const code = E('div', { 'style': 'flex:0 1 400px; max-width:100%' });
		const problem = E('div', { 'class': 'alert-message warning', 'style': 'display:none' });
		const about = E('p', {});
		const make = () => {
			draw.setText(trade, KEEPALIVES[keepalive.value]);
			try {
				const made = profiles.profile({ ...recipe, kind, privateKey: key.value.trim(), addresses: list(address.value),
					dns: list(dns.value), keepalive: Number(keepalive.value),
					device: { ...recipe.device, endpoint: endpoint.value.trim(), allowedIps: list(networks.value) } });

				text.value = made;
				problem.style.display = 'none';
			}
			catch (error) {
				text.value = '';
				draw.setText(problem, error.message);
				problem.style.display = '';
			}
			follow();
		};
		const follow = () => {
			dom.content(code, COMPLETE.test(text.value) ? coded(text.value) : E('em', {}, [
				_('There is no code to scan without a private key.') ]));
			done.style.display = given.note && endpoint.value.trim() != given.noted ? '' : 'none';
		};
		const key = input('private_key', recipe.privateKey, make);
		const address = input('address', recipe.addresses.join(', '), make);
		const endpoint = input('endpoint', recipe.device.endpoint, make);
		const networks = input('allowed_ips', recipe.device.allowedIps.join(', '), make);
		const dns = input('dns', recipe.dns.join(', '), make);
		const keepalive = E('select', { 'class': 'cbi-input-select', 'name': 'keepalive', 'change': make },
			Object.keys(KEEPALIVES).reverse().map(seconds => E('option', { 'value': seconds,
				'selected': Number(seconds) == recipe.keepalive || null }, [ _('%d seconds').format(seconds) ])));
		const trade = described('');
		const tabs = E('ul', { 'class': 'cbi-tabmenu' }, Object.keys(KINDS).map(name => E('li', {}, [
			E('a', { 'href': '#', 'data-kind': name, 'click': ev => { ev.preventDefault(); choose(name); } }, [ KINDS[name].title ]) ])));
		const choose = name => {
			kind = name;
			tabs.childNodes.forEach(tab =>
				tab.setAttribute('class', tab.firstChild.getAttribute('data-kind') == kind ? 'cbi-tab' : 'cbi-tab-disabled'));
			draw.setText(about, KINDS[kind].about);
			make();
		};
		const close = () => {
			for (const field of [ text, key ])
				field.value = '';
			ui.showModal(null, []); // a hidden dialog would stay in the page, with the private key in it
			ui.hideModal();
		};
		const done = E('button', { 'class': 'btn cbi-button-positive', 'click': ui.createHandlerFn(this, async () => {
			await given.note(endpoint.value.trim()).then(close, draw.failure);
		}) }, [ _('The client has this profile now') ]);

		ui.showModal([ draw.text(_('Profile of %s').format(words.visible(given.name))) ], [
			this.words(given),
			recipe.privateKey ? '' : row(_('Private key'), _('It stays in this window.'), key),
			tabs, about, problem,
			E('div', { 'style': 'display:flex; flex-wrap:wrap; gap:1em; align-items:flex-start' }, [
				code,
				E('div', { 'style': 'flex:1 1 320px; min-width:0' }, [
					text,
					E('div', {}, [
						E('button', { 'class': 'btn cbi-button', 'click': () =>
							draw.download(`${clients.fileName(given.name, kind)}.conf`, text.value) }, [ _('Download') ]), ' ',
						draw.copyButton(() => text.value)
					]),
					E('p', {}, [ _('In the WireGuard app: “+”, then “Scan from QR code”. Code and file are made of the text as it stands here; you may edit it.') ])
				])
			]),
			E('details', {}, [
				E('summary', { 'style': MARKED }, [ _('Change what is in it') ]),
				row(_('This router from outside'), _('HOST:PORT under which the client finds this router: as the public server sees it, or a name of yours that follows the address.'), endpoint),
				row(_('Networks behind this router'), _('What the client reaches through this router. 0.0.0.0/0, ::/0 sends all its traffic here.'), networks),
				row(_('DNS'), _('Empty: the client keeps its own. Whoever runs the DNS server that stands here sees every name that the client asks for.'), dns),
				row(_('Keepalive'), trade, keepalive),
				row(_('Address'), _('The client’s own in the tunnel.'), address)
			]),
			E('details', { 'open': given.added || null }, [
				E('summary', { 'style': MARKED }, [ _('What the public server must know') ]),
				E('p', {}, [ _('Paste this on the public server, as root. There is no secret in it, and to run it twice does no harm.') ]),
				script, draw.copyButton(() => script.value)
			]),
			E('div', { 'class': 'right' }, [
				E('button', { 'class': 'btn', 'click': close }, [ _('Close') ]), ' ', done
			])
		]);
		choose(kind);
	},

	/** What must be known before the rest. */
	words(given) {
		if (given.recipe.privateKey && !given.kept)
			return draw.notice('warning', _('Scan or download this now. The router does not keep the private key, and shows the whole profile only this once.'));
		if (!given.recipe.privateKey)
			return draw.notice('notice', _('Only the client has its private key. Put this text into its app, with that key in place of the words in brackets. Or give the key here, to have the code.'));

		return '';
	}
});

function coded(text) {
	try {
		return draw.qr(text);
	}
	catch {
		return E('em', {}, [ _('The text is too long for a code. Download it instead.') ]);
	}
}

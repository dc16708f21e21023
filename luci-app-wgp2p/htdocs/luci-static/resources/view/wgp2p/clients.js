'use strict';
'require dom';
'require poll';
'require ui';
'require view';
'require wgp2p.addresses as addresses';
'require wgp2p.apply as apply';
'require wgp2p.backend as backend';
'require wgp2p.clients as clients';
'require wgp2p.draw as draw';
'require wgp2p.profile as profiles';
'require wgp2p.profiledialog as dialog';
'require wgp2p.words as words';

/* The page “Clients”. What is there is drawn from `this.facts`, by `update()` alone: the first time, after each change
 * and with each poll. */

const POLL_S = 10;
const TAKE_UP_S = 5;
const readonly = !L.hasViewPermission() || null;

const wait = seconds => new Promise(resolve => window.setTimeout(resolve, seconds * 1000));
const one = (text, ...more) => E('p', more[0] ?? {}, [ text ]);

function busy(text) {
	ui.showModal(null, [ one(text, { 'class': 'spinning' }) ]);
}

function ask(title, body, ...buttons) {
	ui.showModal([ draw.text(title) ], [ ...body, E('div', { 'class': 'right' }, [
		E('button', { 'class': 'btn', 'click': ui.hideModal }, [ _('Cancel') ]), ' ', ...buttons ]) ]);
}

/* Names from elsewhere, for a sentence. */
function named(names) {
	return names.map(name => words.visible(name)).join(', ');
}

function field(title, about, node) {
	return E('div', { 'class': 'cbi-value' }, [
		E('label', { 'class': 'cbi-value-title', 'for': node.id }, [ title ]),
		E('div', { 'class': 'cbi-value-field' }, [ node, E('div', { 'class': 'cbi-value-description' }, [ about ]) ]) ]);
}

return view.extend({
	handleSave: null,
	handleSaveApply: null,
	handleReset: null,

	/** Reads everything anew. `this.facts`: {files, status (null: none), trouble (why there is none), made, madeTrouble,
	 * places, place, rows}. Does not fail for want of the daemon. */
	async look() {
		const facts = { made: {}, madeTrouble: '' };

		await Promise.all([
			apply.fresh().then(files => facts.files = files),
			readonly ? null : backend.cliClients().then(made => facts.made = made, error => facts.madeTrouble = error.message),
			this.ask(facts)
		]);
		facts.places = clients.places(facts.files.network, facts.files.wgp2p);
		facts.place = facts.places.find(place => place.interface == this.interface?.value) ?? facts.places[0] ?? null;
		this.facts = facts;

		return this.derive();
	},

	/* Asks the daemon. */
	async ask(facts) {
		await backend.status().then(status => Object.assign(facts, { status, trouble: '' }),
			error => Object.assign(facts, { status: null, trouble: error.message }));
	},

	derive() {
		const { place, files, status, made } = this.facts;

		this.facts.rows = place ? clients.clients(place, files.network, files.wgp2p, status, made) : [];

		return this.facts;
	},

	/* Only the state of things: the files change by this page, or when it is opened anew. */
	async poll() {
		await this.ask(this.facts);
		this.derive();
		this.update();
	},

	load() {
		return this.look();
	},

	render() {
		this.nothing = E('div', {});
		this.notices = E('div', {});
		this.list = E('div', { 'class': 'cbi-section' });
		this.adding = this.form();
		this.update();
		poll.add(() => this.poll(), POLL_S);

		return E('div', {}, [
			E('h2', {}, [ _('Clients') ]),
			E('div', { 'class': 'cbi-map-descr' }, [
				_('A client is a phone or laptop with the WireGuard app. Add it by a name, scan the code with the app, and it connects.') ]),
			this.notices, this.nothing, this.adding, this.list
		]);
	},

	form() {
		this.interface = E('select', { 'id': 'client-interface', 'class': 'cbi-input-select', 'disabled': readonly,
			'change': () => this.look().then(() => this.update()) },
		this.facts.places.map(place => E('option', { 'value': place.interface }, [ place.interface ])));
		this.name = E('input', { 'id': 'client-name', 'type': 'text', 'class': 'cbi-input-text', 'maxlength': '32',
			'placeholder': _('phone'), 'autocomplete': 'off', 'disabled': readonly });
		this.ownKey = E('input', { 'id': 'client-key', 'type': 'text', 'class': 'cbi-input-text', 'maxlength': '44',
			'autocomplete': 'off', 'spellcheck': 'false', 'disabled': readonly });
		this.keep = E('input', { 'id': 'client-keep', 'type': 'checkbox', 'disabled': readonly });

		const add = E('button', { 'class': 'btn cbi-button-add', 'disabled': readonly,
			'click': ui.createHandlerFn(this, 'handleAdd') }, [ _('Add') ]);

		this.name.addEventListener('keydown', ev => ev.key == 'Enter' && add.click());

		return E('div', { 'class': 'cbi-section' }, [
			E('h3', {}, [ _('Add a client') ]),
			this.facts.places.length > 1 ? field(_('Interface'), _('The tunnel that it belongs to.'), this.interface) : '',
			field(_('Name'), _('Up to 15 letters, digits, “_”, “.” and “-” are the name of the tunnel in the app, too. Address, port and keys are chosen for it.'),
				E('div', { 'style': 'display:flex; flex-wrap:wrap; gap:.5em' }, [ this.name, add ])),
			E('details', {}, [
				E('summary', { 'style': 'text-decoration:underline; cursor:pointer' }, [ _('More') ]),
				field(_('Its own public key'), _('For a client that has made its keys itself, so that its private key never touches this router. Empty: this router makes them.'), this.ownKey),
				field(_('Keep the private key on this router'), _('Only needed to show the code again later. Everybody who may read the network’s configuration can read it then.'), this.keep)
			])
		]);
	},

	/* -- drawing ------------------------------------------------------------------------------------- */

	update() {
		const facts = this.facts;

		this.nothing.style.display = facts.place ? 'none' : '';
		this.adding.style.display = this.list.style.display = facts.place ? '' : 'none';
		if (!facts.place && !this.nothing.firstChild)
			dom.content(this.nothing, [ one(_('Clients are added on the router that they shall reach, after it follows a public server. That is not so yet.')),
				E('a', { 'class': 'btn cbi-button-action', 'href': L.url('admin/vpn/wgp2p/setup') }, [ _('Set up') ]) ]);

		this.updateNotices(facts);
		this.updateList(facts);
	},

	updateNotices(facts) {
		const { missing, left } = this.lasting(facts);
		const said = [
			facts.place && facts.trouble && _('The state of the clients is not known, and none can be added: %s.').format(words.clause(facts.trouble)),
			facts.madeTrouble && _('Clients that were made with “wgp2p client” are not known as such: %s.').format(words.clause(facts.madeTrouble)),
			missing.length && _('WireGuard does not know these clients yet: %s.').format(named(missing)),
			left.length && _('WireGuard still lets in what is no longer configured: %s.').format(named(left))
		].filter(text => text);

		if (said.join('\n') == this.said)
			return;

		this.said = said.join('\n');
		dom.content(this.notices, said.map(text => draw.notice('warning', text)));
		if (missing.length || left.length)
			this.notices.appendChild(E('p', {}, [ E('button', { 'class': 'btn cbi-button-action', 'disabled': readonly,
				'click': ui.createHandlerFn(this, 'handleTakeUp') }, [ _('Apply to WireGuard') ]) ]));
	},

	/* What WireGuard has not taken up, now and when we looked before: right after a change the daemon has yet to see it. */
	lasting(facts) {
		const now = facts.place ? clients.pending(facts.place, facts.files.network, facts.status, facts.rows)
			: { missing: [], left: [] };
		const before = this.before ?? { missing: [], left: [] };

		this.before = now;

		return { missing: now.missing.filter(name => before.missing.includes(name)),
			left: now.left.filter(name => before.left.includes(name)) };
	},

	updateList(facts) {
		if (!this.table) {
			const node = E('div', {});

			this.none = E('p', {}, [ E('em', {}, [ _('There is no client yet. Give the first one a name above.') ]) ]);
			dom.content(this.list, [ E('h3', {}, [ _('Clients of this router') ]), this.none, node ]);
			this.table = draw.table(node, this.columns());
		}
		this.none.style.display = facts.rows.length ? 'none' : '';
		this.table.update(facts.rows);
	},

	columns() {
		const text = (title, value) => ({ title, update: (cell, row) => {
			draw.fill(cell, true, () => draw.text(''));
			draw.setText(cell.firstChild, words.visible(value(row)));
		} });
		const button = (row, name, look, handler) => E('button', { 'class': `btn ${look}`, 'disabled': readonly,
			'click': ui.createHandlerFn(this, () => this[handler](this.facts.rows.find(one => one.key == row.key))) }, [ name ]);

		return [
			text(_('Name'), row => row.name),
			text(_('Address'), row => row.addresses.map(address => address.replace(/\/(32|128)$/, '')).join(', ')),
			text(_('Listen port'), row => row.listenPort ?? '–'),
			{ title: _('Profile'), update: (cell, row) => {
				const state = this.state(row);

				draw.fill(cell, state, () => [ E('span', { 'class': `label ${state.look}` }, [ state.word ]), ' ', state.about ]);
			} },
			{ title: '', update: (cell, row) => {
				draw.fill(cell, true, () => E('div', { 'style': 'display:flex; flex-wrap:wrap; gap:.3em; justify-content:flex-end' }, [
					button(row, '', 'cbi-button-action', 'handleProfile'),
					button(row, _('Rename'), 'cbi-button-edit', 'handleRename'),
					button(row, _('Remove'), 'cbi-button-remove', 'handleRemove') ]));
				draw.setText(cell.querySelector('button'), row.stale ? _('Show the new profile') : _('Show profile'));
			} }
		];
	},

	/* What the client's profile is good for: a label, a word and a sentence. */
	state(row) {
		if (row.excluded)
			return { look: '', word: _('left alone'), about: _('The settings say that wgp2p leaves it alone.') };
		if (row.stale)
			return { look: 'warning', word: _('out of date'), about: _('This router has another address or port now. Give the client the new profile.') };
		if (row.profileEndpoint)
			return { look: 'success', word: _('up to date'), about: _('It leads to %s.').format(words.visible(row.profileEndpoint)) };
		if (row.commandLine)
			return { look: 'success', word: _('up to date'), about: _('It was made on the command line.') };

		return { look: '', word: _('not known'), about: _('It was not made here.') };
	},

	/* -- what is done ---------------------------------------------------------------------------------- */

	/** Runs a change: a spinner with `text` meanwhile, a notification when it fails, and the page as it is afterwards. */
	async change(text, action) {
		try {
			await apply.refuseUnsaved();
			await this.look();
			busy(text);
			await action(this.facts);
		}
		catch (error) {
			ui.hideModal();
			draw.failure(error);
		}
		await this.look();
		this.update();
	},

	/** Applies changes, and has WireGuard take them up. */
	async carryOut(changes) {
		await apply.apply(changes);
		await this.takeUp();
	},

	async takeUp() {
		const trouble = await apply.takeUp();

		if (trouble)
			draw.failure(_('The change is saved, and WireGuard has not taken it up: %s').format(trouble));
	},

	handleAdd() {
		return this.change(_('The client is being added…'), async facts => {
			const { place, files } = facts;
			const name = this.name.value.trim(), own = this.ownKey.value.trim();

			if (!facts.status)
				throw new Error(_('No client can be added: %s.').format(facts.trouble));
			clients.checkName(name, facts.rows, files.wgp2p);
			if (own && !addresses.isKey(own))
				throw new Error(_('That is no public key: it has 44 letters, and ends with “=”.'));
			if (own && files.network.some(section => section.public_key == own))
				throw new Error(_('This public key belongs to another peer already.'));

			const keys = own ? { private: '', public: own } : await backend.generateKeys();
			const kept = this.keep.checked && !own;
			const client = { name, key: keys.public, privateKey: kept ? keys.private : '',
				...clients.allot(place, files.network, files.wgp2p) };
			const recipe = await this.recipe(facts, client, keys.private);

			if (!recipe.device.endpoint)
				throw new Error(_('No public server has said yet where it sees this router. Wait until the overview shows it as connected.'));
			profiles.profile({ ...recipe, kind: 'one' }); // what is wrong is found before anything is changed
			client.profileEndpoint = recipe.device.endpoint;
			await this.carryOut(clients.add(place, client));
			this.name.value = this.ownKey.value = '';
			this.keep.checked = false;
			this.show(client, recipe, { kept, added: true });
		});
	},

	async recipe(facts, client, privateKey) {
		const recipe = clients.recipe(facts.place, facts.files.network, facts.status, client);

		[ recipe.device.publicKey, recipe.beacon ] = await Promise.all([
			backend.publicOf(facts.place.privateKey), backend.beacon(client.key) ]);

		return { ...recipe, privateKey };
	},

	show(client, recipe, more) {
		dialog.show({ name: client.name, recipe, noted: client.profileEndpoint, ...more,
			script: profiles.serverScript(clients.shellName(client.name), client.key, addresses.hosts(client.addresses),
				recipe.device.publicKey),
			note: client.commandLine ? null : endpoint => this.note(client, endpoint) });
	},

	async note(client, endpoint) {
		await apply.refuseUnsaved();
		await apply.apply(clients.noteProfile((await this.look()).files.wgp2p, client, endpoint));
		await this.look();
		this.update();
	},

	async handleProfile(client) {
		try {
			if (client.commandLine)
				return this.show(client, clients.parse(await backend.cliProfile(client.commandLine)), { kept: true });
			if (!client.listenPort)
				throw new Error(_('This peer was not made on this page, so its profile is not known. Remove it, and add it anew.'));
			this.show(client, await this.recipe(await this.look(), client, client.privateKey), { kept: true });
		}
		catch (error) {
			draw.failure(error);
		}
	},

	handleRename(client) {
		const name = E('input', { 'id': 'new-name', 'type': 'text', 'class': 'cbi-input-text', 'maxlength': '32', 'value': client.name });

		ask(_('Rename %s').format(named([ client.name ])), [
			field(_('New name'), _('The client itself need not be changed.'), name),
			client.commandLine ? one(_('On the command line it stays “%s”.').format(client.commandLine)) : ''
		], E('button', { 'class': 'btn cbi-button-positive', 'click': ui.createHandlerFn(this, () =>
			this.change(_('The client is being renamed…'), async facts => {
				clients.checkName(name.value.trim(), facts.rows, facts.files.wgp2p, client.key);
				await apply.apply(clients.rename(facts.place, facts.files.network, facts.files.wgp2p, client, name.value.trim()));
				ui.hideModal();
			})) }, [ _('Rename') ]));
	},

	handleRemove(client) {
		ask(_('Remove %s').format(named([ client.name ])), [
			one(_('From then on it reaches neither this router nor what is behind it. To have it back, add it anew.'))
		], E('button', { 'class': 'btn cbi-button-negative', 'click': ui.createHandlerFn(this, () =>
			this.change(_('The client is being removed…'), async facts => {
				const left = files => clients.remove(facts.place, files.network, files.wgp2p, client);

				left(facts.files); // what is wrong is found before anything is changed
				if (client.commandLine)
					await backend.cliRemove(client.commandLine);

				const changes = left(await apply.fresh());

				if (changes.length)
					await this.carryOut(changes);
				ui.showModal([ draw.text(_('%s is removed').format(named([ client.name ]))) ], [
					one(_('The public server still knows the client. There, remove the peer with its key from the configuration of WireGuard and from /etc/config/wgp2p, and run as root:')),
					E('pre', { 'style': 'white-space:pre-wrap; overflow-wrap:anywhere' }, [ `wg set INTERFACE peer ${client.key} remove; wgp2p reload` ]),
					E('div', { 'class': 'right' }, [ E('button', { 'class': 'btn', 'click': ui.hideModal }, [ _('Close') ]) ]) ]);
			})) }, [ _('Remove') ]));
	},

	/** The gentle way first; whether WireGuard took it up, the daemon says. */
	async handleTakeUp() {
		await this.takeUp();

		for (let second = 0; second < TAKE_UP_S; second++) {
			await this.poll();

			const { missing, left } = this.before;

			if (!missing.length && !left.length)
				return;
			await wait(1);
		}

		const name = this.facts.place.interface;

		ask(_('Restart %s').format(name), [
			one(_('WireGuard has not taken up the change. A restart of the interface does it. All its connections break for some seconds, this page’s, too, if you came through the tunnel.'))
		], E('button', { 'class': 'btn cbi-button-negative', 'click': ui.createHandlerFn(this, async () => {
			await apply.restart(name).catch(draw.failure);
			ui.hideModal();
		}) }, [ _('Restart') ]));
	}
});

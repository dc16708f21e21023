'use strict';
'require dom';
'require poll';
'require ui';
'require view';
'require wgp2p.addresses as addresses';
'require wgp2p.apply as apply';
'require wgp2p.backend as backend';
'require wgp2p.draw as draw';
'require wgp2p.install as install';
'require wgp2p.plan as plan';
'require wgp2p.steps as steps';
'require wgp2p.words as words';

/* From an empty router to a connection. What is there is shown, and changed only by the two buttons. */

const NEW = '';           // in place of an interface's name: a new one
const POLL_S = 3;
const DOCTOR_POLLS = 10;  // the doctor is asked with every tenth poll
const TOKEN_WAIT_S = 30;  // for the service to know what was just saved
const STEPS = 6;          // the most rows of a role
const LONG = 600;         // letters of what others say, in a step
const STATES = { ok: 'label success', busy: 'label notice', error: 'label warning', later: 'label' };

const after = seconds => new Promise(resolve => window.setTimeout(resolve, seconds * 1000));

function row(title, about, ...fields) {
	return E('div', { 'class': 'cbi-value' }, [
		E('label', { 'class': 'cbi-value-title', 'for': fields[0].id || null }, [ title ]),
		E('div', { 'class': 'cbi-value-field' }, [ ...fields,
			about ? E('div', { 'class': 'cbi-value-description' }, [ about ]) : '' ])
	]);
}

function part(number, title, about, ...children) {
	return E('div', { 'class': 'cbi-section', 'id': `setup-${number}` }, [
		E('h3', {}, [ '%d. %s'.format(number, title) ]),
		E('div', { 'class': 'cbi-section-descr' }, [ about ]), ...children
	]);
}

return view.extend({
	handleSave: null,
	handleSaveApply: null,
	handleReset: null,

	async load() {
		await apply.fresh();

		this.name = 'router';
		this.readonly = !L.hasViewPermission() || null;
		await Promise.all([ this.turn(plan.present(apply.sections()).role), this.look() ]);
	},

	render() {
		this.root = E('div', { 'class': 'cbi-map' }, []);
		this.draw();
		let polls = 0;
		poll.add(() => this.look(++polls % DOCTOR_POLLS == 0).then(() => this.update()), POLL_S);

		return this.root;
	},

	/* -- facts --------------------------------------------------------------------------------------------------- */

	/** Turns to another role, and to the interface that it has. */
	async turn(role) {
		this.role = role;
		await this.choose(plan.present(apply.sections(), role).interface);
	},

	/** Turns to another interface. */
	async choose(name) {
		this.interface = name;
		this.wantsLan = null; // not said yet
		await this.prepare();
	},

	/** Takes from UCI what the page shows, after it was loaded or applied. */
	async prepare() {
		const all = apply.sections();
		const own = plan.interfaces(all.network).find(one => one.name == this.interface);

		this.present = plan.present(all, this.role);
		this.interfaces = plan.interfaces(all.network);
		this.interface = own?.name ?? NEW;
		this.publicKey = own?.privateKey && !this.readonly
			? await backend.publicOf(own.privateKey).catch(() => '') : '';
		this.zone = plan.zone(all.firewall, this.interface);
	},

	/** Asks the daemon; its doctor, who costs it more, only where `all` is wanted. */
	async look(all = true) {
		const [ status, doctor ] = await Promise.allSettled([ backend.status(),
			all ? backend.doctor() : { findings: this.facts.findings } ]);

		this.facts = status.value ? { status: status.value, problem: '', findings: doctor.value?.findings ?? [] }
			: { status: null, problem: status.reason.message, findings: [] };
	},

	own() {
		return this.interfaces.find(one => one.name == this.interface);
	},

	/* -- drawing ------------------------------------------------------------------------------------------------- */

	draw() {
		const focused = this.root.contains(document.activeElement) ? document.activeElement : null;

		this.fields = {};
		this.rows = Array.from({ length: STEPS }, () => ({ label: E('span', {}, []), title: E('strong', {}, []),
			words: E('bdi', {}, []), advice: E('em', {}, []) }));
		this.restart = E('div', {}, [ this.restartButton() ]);
		this.next = E('p', {}, [ E('a', { 'href': L.url('admin/vpn/wgp2p/clients') }, [ _('All is ready. Go on and add a client: a phone or a laptop.') ]) ]);

		dom.content(this.root, [
			E('h2', {}, [ _('Set up') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('From here to a working connection in a few minutes. You can come back at any time: the page shows what is there, and changes nothing before you press a button.') ]),
			this.readonly ? draw.notice('notice', _('You may look at this page, and not change anything.')) : '',
			this.roleSection(), this.interfaceSection(),
			...(this.role == 'device' ? [ this.commandSection(), this.serverSection() ] : [ this.publisherSection() ]),
			this.stepsSection(this.role == 'device' ? 4 : 3)
		]);
		this.command();
		this.update();
		if (focused?.name)
			Array.from(this.root.querySelectorAll(`[name="${focused.name}"]`))
				.find(node => node.type != 'radio' || node.value == focused.value)?.focus({ preventScroll: true });
	},

	input(name, value, more) {
		const id = `setup-${name}`;

		this.fields[name] = E('input', Object.assign({ 'type': 'text', 'class': 'cbi-input-text', id, name, 'value': value,
			'disabled': this.readonly, 'autocomplete': 'off', 'spellcheck': 'false', 'autocapitalize': 'off',
			'maxlength': 300 }, more));

		return this.fields[name];
	},

	roleSection() {
		const choice = (role, title, about) => E('div', { 'style': 'margin:.5em 0' }, [ E('label', {}, [
			E('input', { 'type': 'radio', 'name': 'role', 'value': role, 'checked': this.role == role || null,
				'change': () => this.turn(role).then(() => this.draw()) }), ' ', E('strong', {}, [ title ]), E('br'), about ]) ]);

		return E('div', { 'class': 'cbi-section' }, [
			choice('device', _('This router is to be reached from outside'), _('The usual one. It stands behind a NAT, and phones and laptops connect to it and to its LAN, with the help of a public server.')),
			choice('server', _('This router is the public server'), _('It has a public address, and helps other routers and their clients to find each other.'))
		]);
	},

	interfaceSection() {
		const own = this.own();
		const select = E('select', { 'class': 'cbi-input-select', 'id': 'setup-interface', 'name': 'interface',
			'change': ev => this.choose(ev.target.value).then(() => this.draw()) }, [
			...this.interfaces.map(one => E('option', { 'value': one.name, 'selected': one == own || null }, [ one.name ])),
			E('option', { 'value': NEW, 'selected': own ? null : true }, [ _('make a new one') ])
		]);

		return part(1, _('This router'), _('wgp2p needs a WireGuard interface. A new one gets its keys from this router.'),
			row(_('WireGuard interface'), '', select),
			...(own ? this.existing(own) : this.fresh()),
			this.lanRow());
	},

	existing(own) {
		const problems = [
			own.disabled ? _('It is switched off. Start it in Network → Interfaces.') : '',
			own.addresses.length ? '' : _('It has no address. Give it one in Network → Interfaces, such as 10.7.0.2/24.'),
			own.listenPort ? '' : _('It has no fixed listen port, so the firewall cannot be opened for it. Give it one in Network → Interfaces, such as 51820.')
		].filter(problem => problem);

		return [
			row(_('Address in the tunnel'), '', draw.text(own.addresses.join(', ') || '-')),
			row(_('Listen port'), '', draw.text(own.listenPort || '-')),
			this.publicKey ? row(_('Public key'), '', E('code', { 'style': 'overflow-wrap:anywhere' }, [ this.publicKey ])) : '',
			...problems.map(problem => draw.notice('warning', problem))
		];
	},

	fresh() {
		const proposal = plan.propose(apply.sections().network, this.role == 'server' ? 1 : 2);

		return [
			row(_('Name'), '', this.input('newname', proposal.name, { 'maxlength': 15 })),
			row(_('Address in the tunnel'), _('With the size of the tunnel’s network. If the public server has a WireGuard tunnel already, choose a free address of that one.'),
				this.input('address', proposal.address)),
			row(_('Listen port'), _('UDP. Leave it as it is, unless you know of a reason.'), this.input('listenport', proposal.listenPort)),
			E('div', { 'class': 'cbi-value' }, [ E('div', { 'class': 'cbi-value-field' }, [
				this.button('create', 'cbi-button-add', _('Make the interface')) ]) ]),
			this.problem('create')
		];
	},

	lanRow() {
		const elsewhere = this.zone && this.zone != 'lan';

		this.fields.lan = E('input', { 'type': 'checkbox', 'id': 'setup-lan', 'name': 'lan',
			'disabled': elsewhere || this.readonly, 'change': ev => { this.wantsLan = ev.target.checked; },
			'checked': (this.wantsLan ?? (this.zone == 'lan' ||
				(this.role == 'device' && !this.present.enabled && !elsewhere))) || null });

		return row(_('Clients may reach the LAN'), elsewhere
			? _('This interface is in the firewall zone “%s”, which decides that. It is changed in Network → Firewall.').format(this.zone)
			: _('Puts the interface into the firewall zone “lan”. Clients then reach this router and its LAN as if they were at home.'), this.fields.lan);
	},

	commandSection() {
		this.script = E('textarea', { 'rows': 8, 'readonly': true, 'spellcheck': 'false', 'name': 'command', 'id': 'setup-command',
			'style': 'width:100%; box-sizing:border-box; font-family:monospace; white-space:pre; overflow-x:auto' }, []);
		this.noscript = E('em', {}, []);
		this.copy = draw.copyButton(() => this.script.value);

		return part(2, _('The command for the server'), _('Run this as root on the public server: a Linux with systemd that has the file wgp2p.pyz, or an OpenWrt router with wgp2p. It adds this router to WireGuard and to wgp2p there. Where a Linux has no WireGuard yet it installs it and sets it up. There is no secret in it.'),
			row(_('This router’s name'), _('What the server is to call it. A second router there needs another name.'),
				this.input('router', this.name, { 'maxlength': 32, 'input': () => this.command() })),
			this.script, this.noscript, E('div', { 'style': 'margin:.5em 0' }, [ this.copy ]));
	},

	/** Writes the command for the server anew, or why there is none. */
	command() {
		if (this.role != 'device')
			return;

		const own = this.own();
		let text = '', problem = '';

		try {
			if (!own)
				throw new Error(_('First make the interface in step 1.'));
			this.name = this.fields.router.value.trim();
			text = install.command(this.name, this.publicKey, own.addresses, this.serverAddress(own));
		}
		catch (error) {
			problem = error.message;
		}

		this.script.value = text;
		for (const node of [ this.script, this.copy ])
			node.style.display = text ? '' : 'none';
		draw.setText(this.noscript, problem);
	},

	/** The address for a server that has no WireGuard yet: text with prefix length. */
	serverAddress(own) {
		const address = own.addresses[0] ?? '';
		const ip = address.split('/')[0];
		const network = addresses.network(address);
		const first = this.present.server.address || addresses.freeAddress(String(network).split('/')[0], network.length,
			[ addresses.network(ip) ]);

		return `${first}/${network.length}`;
	},

	serverSection() {
		const server = this.present.server;

		this.paste = E('textarea', { 'rows': 4, 'id': 'setup-paste', 'name': 'paste', 'disabled': this.readonly,
			'spellcheck': 'false', 'autocomplete': 'off', 'style': 'width:100%; box-sizing:border-box', 'input': () => this.read(),
			'placeholder': _('Paste here what the command, or the installer, printed on the server.') }, []);
		this.heard = E('em', {}, []);

		return part(3, _('The public server'), _('What the server printed fills in the fields. You can also fill them in by hand.'),
			this.paste, E('p', {}, [ this.heard ]),
			row(_('Name or address'), _('Where the internet reaches the server. A name is better, should the address change.'),
				this.input('host', server.host, { 'placeholder': 'vpn.example.org' })),
			row(_('UDP port'), _('WireGuard’s port there.'), this.input('port', server.port || '51820')),
			row(_('Public key'), '', this.input('key', server.publicKey, { 'maxlength': 64, 'style': 'max-width:100%; width:30em' })),
			row(_('Address in the tunnel'), '', this.input('publisher', server.address, { 'placeholder': '10.7.0.1' })),
			row(_('TCP port of wgp2p'), _('In the tunnel only.'), this.input('api', server.apiPort)),
			row(_('Token'), _('A secret that the server made for this router. It goes into a file here, and is never shown again. Leave this empty to keep the one that is there.'),
				this.input('token', '', { 'type': 'password', 'autocomplete': 'new-password', 'maxlength': 256 })),
			E('div', { 'class': 'cbi-page-actions' }, [ this.button('save', 'cbi-button-apply', _('Save & Apply')) ]),
			this.problem('save'));
	},

	/** Fills in what the pasted text says. The text goes at once: there may be a token in it. */
	read() {
		const found = install.parse(this.paste.value, this.name);

		if (!found) {
			draw.setText(this.heard, this.paste.value.trim() == '' ? ''
				: _('There is nothing of the installer in this text. It has a line that begins with “This server: public key”.'));
			return;
		}

		const fill = { key: found.publicKey, host: found.host, port: found.port, publisher: found.address,
			api: found.apiPort, token: found.token };

		for (const [ name, value ] of Object.entries(fill))
			if (value)
				this.fields[name].value = value;
		this.paste.value = '';
		draw.setText(this.heard, [ _('The fields are filled in.'),
			!this.fields.host.value ? _('The server does not know under which name or address the internet reaches it: enter that.') : '',
			!found.token ? _('The text has no token: enter that, too. “wgp2p token” and this router’s name show it on the server.') : ''
		].join(' ').trim());
	},

	publisherSection() {
		return part(2, _('Public server'), _('Switches wgp2p on as the public server, and opens its ports in the firewall. Where no direct path is possible it passes packets on between a router and its clients, without being able to read them.'),
			E('div', { 'class': 'cbi-page-actions' }, [ this.button('serve', 'cbi-button-apply', _('Save & Apply')) ]),
			this.problem('serve'),
			E('p', {}, [ this.present.enabled ? _('It is switched on. Go on at the other router: open this page there. It shows a command; run that here, as root, over SSH. It prints all that the other router needs, and its token.')
				: _('After that you go on at the other router.') ]));
	},

	stepsSection(number) {
		return part(number, _('Do they see each other?'), _('Looked at anew every few seconds.'),
			E('div', { 'id': 'setup-steps' }, this.rows.map(row => row.node = E('div', { 'style': 'display:flex; gap:.8em; margin:.6em 0' }, [
				E('div', { 'style': 'flex:0 0 5em' }, [ row.label ]),
				E('div', { 'style': 'flex:1 1 auto; min-width:0; overflow-wrap:anywhere' }, [ row.title, E('br'), row.words, ' ', row.advice ])
			]))), this.restart, this.next);
	},

	/** Brings the steps up to date, in place. */
	update() {
		const name = this.interface;
		const publisher = this.role == 'device' ? this.present.server.address : '';
		const found = !this.present.enabled ? [] : this.role == 'device' ? steps.device(this.facts, name, publisher) : steps.server(this.facts, name);
		const shown = found.length ? found
			: [ { title: _('Nothing is set up yet'), state: 'later', words: _('Go through the steps above, and save.'), advice: '' } ];

		this.rows.forEach((row, index) => {
			const step = shown[index];

			row.node.style.display = step ? 'flex' : 'none';
			if (!step)
				return;
			row.label.className = STATES[step.state];
			draw.setText(row.label, { ok: _('done'), busy: _('wait'), error: _('to do'), later: _('later') }[step.state]);
			draw.setText(row.title, step.title);
			draw.setText(row.words, words.visible(step.words, LONG));
			draw.setText(row.advice, words.visible(step.advice, LONG));
		});
		this.restart.style.display = shown.some(step => step.restart) ? '' : 'none';
		this.next.style.display = this.role == 'device' && shown.every(step => step.state == 'ok') ? '' : 'none';
	},

	button(method, kind, title) {
		return E('button', { 'class': `btn cbi-button ${kind} important`, 'name': method, 'disabled': this.readonly,
			'click': ui.createHandlerFn(this, 'press', method) }, [ title ]);
	},

	restartButton() {
		return E('button', { 'class': 'btn cbi-button cbi-button-apply', 'name': 'restart', 'disabled': this.readonly,
			'click': ui.createHandlerFn(this, () => apply.restart(this.interface).catch(draw.failure))
		}, [ _('Restart the interface') ]);
	},

	problem(method) {
		this.problems = Object.assign(this.problems ?? {}, { [method]: draw.notice('warning', '') });
		this.problems[method].style.display = 'none';

		return this.problems[method];
	},

	/* -- changes ------------------------------------------------------------------------------------------------- */

	async press(method) {
		const problem = this.problems[method];

		problem.style.display = 'none';
		try {
			await this[method]();
		}
		catch (error) {
			draw.setText(problem, words.visible(error.message, LONG));
			problem.style.display = '';
			problem.scrollIntoView({ block: 'center' });
		}
	},

	/** Applies what `planned` makes of the files as they are now, if that is anything, and shows what is there then. */
	async put(planned) {
		const changes = planned(await apply.fresh());

		if (changes.length) {
			await apply.refuseUnsaved();
			await apply.apply(changes);
		}
		await this.prepare();
	},

	lan(all, name) {
		return plan.lan(all.firewall, name, this.fields.lan.checked);
	},

	async create() {
		const name = this.fields.newname.value.trim();
		const address = install.address(this.fields.address.value.trim());

		if (!address.includes('/') || addresses.network(address).length == addresses.network(address.split('/')[0]).length)
			throw new Error(_('The address needs the size of the tunnel’s network, as in 10.7.0.2/24.'));

		const wanted = { name, address, listenPort: this.fields.listenport.value.trim(),
			privateKey: (await backend.generateKeys()).private };

		await this.put(all => [ ...plan.create(all, wanted), ...this.lan(all, name) ]);
		this.interface = name;
		await this.prepare();
		this.draw();
	},

	async save() {
		const own = this.own(), fields = this.fields, token = fields.token.value.trim();
		const text = name => fields[name].value.trim();

		if (!own)
			throw new Error(_('First make the interface in step 1.'));
		if (token && !install.isToken(token))
			throw new Error(_('That is no token. It has 32 to 256 letters and digits, and no space.'));

		const server = install.server({ host: text('host'), port: text('port'), publicKey: text('key'),
			address: text('publisher'), apiPort: text('api') });

		await this.put(all => [ ...plan.device(all, own.name, server), ...this.lan(all, own.name) ]);
		/* Where this fails the interface is only just being set up, with all its peers; the steps tell. */
		await apply.takeUp();
		if (token)
			await this.handOver(token);
		fields.token.value = '';
		await this.look();
		this.draw();
	},

	/** Gives the token to the service, once that knows the public server. Throws an Error. */
	async handOver(token) {
		const label = this.present.label;
		const known = () => this.facts.status?.subscribers.some(one => one.publishers.some(link => link.name == label));
		const end = Date.now() + TOKEN_WAIT_S * 1000;

		for (await this.look(); !known() && Date.now() < end; await this.look())
			await after(1);
		if (!known())
			throw new Error(_('All is saved, but the token is not handed over yet: %s. Press the button once more.').format(words.clause(this.facts.problem) || _('wgp2p does not know the public server yet')));
		await backend.token(label, token);
	},

	async serve() {
		if (!this.own())
			throw new Error(_('First make the interface in step 1.'));
		await this.put(all => [ ...plan.server(all, this.interface), ...this.lan(all, this.interface) ]);
		await this.look();
		this.draw();
	}
});

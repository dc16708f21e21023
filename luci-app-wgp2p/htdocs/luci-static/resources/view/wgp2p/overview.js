'use strict';
'require view';
'require poll';
'require ui';
'require wgp2p.backend as backend';
'require wgp2p.draw as draw';
'require wgp2p.words as words';
'require wgp2p.rows as rows';
'require wgp2p.strip as strip';

/* Who is connected how, and what stands in the way. Needs the group luci-app-wgp2p-status and nothing else. */

const STATUS_S = 5, REST_S = 30;
const CALLED_MS = 10000;

const readonly = !L.hasViewPermission() || null;

function section(title, children) {
	return E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ title ]), ...children ]);
}

function show(node, shown) {
	node.style.display = shown ? '' : 'none';
}

function link(page, text) {
	return readonly ? '' : E('a', { 'class': 'btn cbi-button-action', 'href': L.url('admin/vpn/wgp2p', page) }, [ text ]);
}

function small(text) {
	return E('div', {}, [ E('small', {}, [ draw.text(text, 300) ]) ]);
}

/* As an inline text a label of the theme material covers the line below it. */
function block(label) {
	Object.assign(label.style, { display: 'inline-block', lineHeight: '1.4' });
	return label;
}

function stateLabel(state) {
	return state ? block(E('span', { 'class': `label ${state.level}` }, [ state.word ])) : '';
}

/* Text and below it smaller lines. */
function lines(cell, main, more) {
	draw.fill(cell, [ main, more ], () => [ draw.text(main), ...more.filter(text => text).map(small) ]);
}

/* A cell whose text may be one long word. */
function wrapping(update) {
	return (cell, row) => {
		Object.assign(cell.style, { overflowWrap: 'anywhere', minWidth: '7em' });
		update(cell, row);
	};
}

function nowrap(cell, texts) {
	draw.fill(cell, texts, () => texts.map(text => E('div', { 'class': 'nowrap' }, [ text ])));
}

return view.extend({
	load() {
		this.answers = {};
		this.problems = {};
		this.called = new Map();
		return Promise.all([ this.ask('status'), this.ask('doctor'), this.ask('history') ]);
	},

	/** Asks the daemon once; a refusal stays in `problems` until the next answer, beside the last answer. */
	async ask(method) {
		try {
			this.answers[method] = await backend[method]();
			this.problems[method] = null;
			if (method == 'status')
				this.statusMs = performance.now();
		}
		catch (error) {
			this.problems[method] = error.message;
		}
	},

	render() {
		const div = () => E('div', {});

		[ this.trouble, this.empty, this.findings, this.fine, this.noClient, this.noPeer ] = Array.from({ length: 6 }, div);
		this.headline = E('p', {});

		const [ device, clients, served ] = [ div(), div(), div() ];

		this.tables = { device: draw.table(device, this.deviceColumns()), clients: draw.table(clients, this.clientColumns()),
			served: draw.table(served, this.servedColumns()) };
		this.clients = section(_('Clients'), [ this.noClient, clients, this.legend = this.drawLegend() ]);
		this.served = section(_('Peers of this public server'), [ this.noPeer, served ]);
		this.device = section(_('This router'), [ device, this.fine ]);
		this.findings.style.overflowWrap = this.fine.style.overflowWrap = 'anywhere';
		this.body = E('div', {}, [ this.headline, this.findings, this.device, this.clients, this.served ]);
		this.update();

		poll.add(() => this.ask('status').then(() => this.update()), STATUS_S);
		poll.add(() => Promise.all([ this.ask('doctor'), this.ask('history') ]).then(() => this.update()), REST_S);

		return E('div', {}, [ E('h2', {}, [ _('WireGuard P2P') ]), this.trouble, this.empty, this.body ]);
	},

	/** The first drawing and each later one. */
	update() {
		const { status, history, doctor } = this.answers;

		this.updateTrouble();
		show(this.body, status);
		if (!status)
			return this.updateEmpty(_('There is nothing to see while the service does not answer. If it has not been set up yet, begin here.'));

		const roles = rows.roles(status), clients = rows.clients(status, history), served = rows.served(status);
		const findings = rows.findings(doctor);

		this.updateEmpty(roles.none ? _('Nothing is switched on yet. Choose the WireGuard interface and the public server that it follows.') : '');
		this.body.style.opacity = this.problems.status ? '0.5' : '';
		show(this.body, !roles.none);
		show(this.clients, roles.subscriber);
		show(this.served, roles.publisher);
		show(this.legend, clients.length);

		this.updateHeadline(clients, findings, doctor);
		this.updateFindings(findings);
		this.tables.clients.update(clients);
		this.tables.served.update(served);
		this.tables.device.update(rows.device(status));
		draw.fill(this.noClient, clients.length > 0, () => clients.length ? [] : [
			E('p', {}, [ _('There is no client yet. Give one a name, and scan its code with the WireGuard app.') ]), link('clients', _('Add a client')) ]);
		draw.fill(this.noPeer, served.length > 0, () => served.length ? []
			: [ E('p', {}, [ _('The WireGuard interface has no peers yet. Add the remote devices and their clients to it.') ]) ]);
	},

	/** One message for whatever cannot be read, and how old is what stands there instead. */
	updateTrouble() {
		const said = this.problems.status ?? this.problems.doctor ?? this.problems.history;
		const age = this.problems.status && this.statusMs != null
			? _('What is shown is as of %s ago.').format(words.age((performance.now() - this.statusMs) / 1000)) : '';

		draw.fill(this.trouble, said != null, () => said == null ? [] : [ this.said = draw.notice('warning', '') ]);
		if (said != null)
			draw.setText(this.said, [ _('wgp2p cannot be asked: %s.').format(words.clause(said)), age ].filter(text => text).join(' '));
	},

	updateEmpty(text) {
		draw.fill(this.empty, text, () => text ? [ E('p', {}, [ text ]), link('setup', _('Set up')) ] : []);
	},

	updateHeadline(clients, findings, doctor) {
		const count = rows.count(clients);

		draw.setText(this.headline, [
			count ? _('Clients: %s.').format(count) : '',
			!doctor ? '' : findings.problems.length ? _('Problems: %d.').format(findings.problems.length) : _('No problems found.')
		].filter(text => text).join(' '));
	},

	updateFindings({ problems, fine }) {
		draw.fill(this.findings, problems, () => problems.map(finding => {
			const node = draw.notice(finding.level == 'error' ? 'error' : 'warning', finding.text);

			node.appendChild(E('div', {}, [ draw.text(finding.advice, 1000) ]));
			return node;
		}));
		draw.fill(this.fine, fine, () => fine.length ? [ E('details', { 'open': this.fine.querySelector('details')?.open || null }, [
			E('summary', { 'style': 'cursor:pointer' }, [ _('What is well: %d').format(fine.length) ]),
			E('ul', {}, fine.map(finding => E('li', {}, [ draw.text(`${finding.text} ${finding.advice}`, 1000) ])))
		]) ] : []);
	},

	/* -- tables -------------------------------------------------------------------------------------------- */

	clientColumns() {
		return [
			{ title: _('Client'), update: wrapping((cell, row) => lines(cell, row.name, [ row.interface,
				row.stale ? _('Its profile is out of date.') : '' ])) },
			{ title: _('Path'), update: wrapping((cell, row) => {
				draw.fill(cell, row.path, () => [ block(draw.label(row.path)), ' ', E('small', { 'class': 'nowrap' }), E('div', {}, [ E('small', {}) ]) ]);

				const [ since, reason ] = cell.querySelectorAll('small');

				draw.setText(since, row.since);
				draw.setText(reason, words.visible(row.reason, 300));
			}) },
			{ title: _('Last 24 hours'), update: (cell, row) => {
				draw.fill(cell, true, () => [ E('div', {}) ]);
				strip.update(cell.firstChild, row.states, row.slot, row.path);
			} },
			...this.peerColumns()
		];
	},

	servedColumns() {
		return [
			{ title: _('Peer'), update: wrapping((cell, row) => lines(cell, row.name, [ row.device ? _('remote device') : '', row.interface ])) },
			{ title: _('State'), update: (cell, row) => draw.fill(cell, [ row.state, row.reason ],
				() => [ stateLabel(row.state), ...(row.reason ? [ small(row.reason) ] : []) ]) },
			...this.peerColumns()
		];
	},

	peerColumns() {
		return [
			{ title: _('Endpoint'), update: (cell, row) => lines(cell, row.endpoint || '-', []) },
			{ title: _('Last seen'), update: (cell, row) => nowrap(cell, [ row.seen ]) },
			{ title: _('Traffic'), update: (cell, row) => nowrap(cell, [ _('%s in').format(row.rx), _('%s out').format(row.tx) ]) },
			{ title: '', update: (cell, row) => {
				draw.fill(cell, row.callable, () => row.callable ? [
					E('button', { 'class': 'btn cbi-button cbi-button-action nowrap', 'disabled': readonly,
						'click': ui.createHandlerFn(this, 'handlePunch', row) }, [ _('Connect now') ]), E('div', {}, [ E('small', {}) ]) ] : []);
				if (row.callable)
					draw.setText(cell.querySelector('small'),
						performance.now() - this.called.get(row.key) < CALLED_MS ? _('It is being called.') : '');
			} }
		];
	},

	deviceColumns() {
		const left = update => ({ title: '', update: wrapping((cell, row) => {
			cell.classList.add('left');
			update(cell, row);
		}) });

		return [
			left((cell, row) => lines(cell, row.title, [])),
			left((cell, row) => draw.fill(cell, [ row.state, row.value ], () => [ stateLabel(row.state), ' ', draw.text(row.value, 300) ])),
			left((cell, row) => draw.fill(cell, row.text, () => [ E('small', {}, [ draw.text(row.text, 1000) ]) ]))
		];
	},

	drawLegend() {
		const entry = path => E('small', { 'style': 'white-space:nowrap' }, [ strip.sample(path), ' ', words.stateWord(path) ]);

		return E('div', {}, [ E('div', { 'style': 'display:flex; flex-wrap:wrap; gap:.2em 1.2em; padding:.5em' }, [
			...[ 'direct', 'relay', 'trying', 'offline', 'static' ].map(entry), E('small', {}, [ _('Empty: not known. Now is at the right.') ]) ]) ]);
	},

	async handlePunch(row) {
		try {
			await backend.punch(row.publicKey);
			this.called.set(row.key, performance.now());
			await this.ask('status');
			this.update();
		}
		catch (error) {
			draw.failure(error);
		}
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});

'use strict';
'require baseclass';
'require dom';
'require uci';
'require ui';
'require formvalues as values';

/* Stand-in for LuCI's forms: sections, tables with their dialogs, and the map that saves them. */

const Node = values.Node;

/* Sections -------------------------------------------------------------------------------------------------------- */

const AbstractSection = Node.extend({
	__init__(map, sectiontype, title, description) {
		this.super('__init__', [ title, description ]);
		Object.assign(this, { map, config: map.config, sectiontype, uciconfig: null, tabs: [] });
	},

	option(Class, option, ...args) {
		const made = new Class(this.map, this, option, ...args);
		this.children.push(made);
		return made;
	},
	tab(name, title, description) {
		this.tabs.push({ name, title, description });
	},
	taboption(tab, ...args) {
		if (!this.tabs.some(one => one.name == tab))
			throw new ReferenceError(`no tab ${tab}`);
		const made = this.option(...args);
		made.tab = tab;
		return made;
	},

	filter: () => true,
	cfgsections() {
		return uci.sections(this.uciconfig ?? this.map.config, this.sectiontype)
			.map(section => section['.name']).filter(sid => this.filter(sid));
	},

	async load() {
		for (const sid of this.cfgsections())
			for (const option of this.children)
				option.cfgvalue(sid, await option.load(sid));
	},
	async parse() {
		for (const sid of this.cfgsections())
			for (const option of this.children)
				await option.parse(sid);
	},
	/* True when something was shown or hidden. */
	checkDepends() {
		let changed = false;
		for (const sid of this.cfgsections())
			for (const option of this.children) {
				const row = option.row(sid);
				const hide = !option.checkDepends(sid);
				if (row && row.classList.contains('hidden') != hide) {
					row.classList.toggle('hidden', hide);
					changed = true;
				}
			}
		return changed;
	},

	/* The rows of one section, in their tabs. */
	async renderOptions(section_id) {
		const shown = this.children.filter(option => !option.hiddenHere);
		const rows = await Promise.all(shown.map((option, i) => option.render(i, section_id)));
		if (!this.tabs.length)
			return rows;
		const panes = this.tabs.map(({ name, title, description }) => E('div', {
			'data-tab': name, 'data-tab-title': title, 'class': 'cbi-section-node'
		}, [
			description ? E('div', { 'class': 'cbi-tab-descr' }, description) : '',
			...rows.filter((row, i) => shown[i].tab == name)
		]));
		const group = E('div', {}, panes);
		ui.tabs.initTabGroup(panes);
		return [ group, ...rows.filter((row, i) => !shown[i].tab) ];
	},
	frame(children) {
		return E('div', {
			'class': 'cbi-section', 'id': `cbi-${this.map.config}-${this.sectiontype}`,
			'data-tab': this.map.tabbed ? this.sectiontype : null, 'data-tab-title': this.map.tabbed ? this.title : null
		}, [
			this.title && !this.map.tabbed ? E('h3', {}, this.title) : '',
			this.description ? E('div', { 'class': 'cbi-section-descr' }, this.description) : '',
			...children
		]);
	}
});

const NamedSection = AbstractSection.extend({
	__init__(map, section_id, sectiontype, ...args) {
		this.super('__init__', [ map, sectiontype, ...args ]);
		this.section = section_id;
	},
	cfgsections() {
		return uci.get(this.uciconfig ?? this.map.config, this.section) ? [ this.section ] : [];
	},
	async render() {
		return this.frame([ E('div', { 'class': 'cbi-section-node', 'data-section-id': this.section },
			this.cfgsections().length ? await this.renderOptions(this.section) : [ E('em', {}, [ 'This section contains no values yet' ]) ]) ]);
	}
});

const TypedSection = AbstractSection.extend({
	handleAdd(ev, name) {
		uci.add(this.uciconfig ?? this.map.config, this.sectiontype, name);
		return this.map.save(null, true);
	},
	handleRemove(section_id, ev) {
		uci.remove(this.uciconfig ?? this.map.config, section_id);
		return this.map.save(null, true);
	},
	removeButton(section_id) {
		return this.addremove ? E('button', {
			'class': 'cbi-button cbi-button-remove', 'name': `cbi.rts.${this.map.config}.${section_id}`,
			'disabled': this.map.readonly ? '' : null, 'click': ui.createHandlerFn(this, 'handleRemove', section_id)
		}, [ this.titleFn('delbtntitle', section_id) ?? 'Delete' ]) : '';
	},
	addButton() {
		if (!this.addremove)
			return '';
		const name = E('input', { 'type': 'text', 'class': 'cbi-section-create-name' });
		return E('div', { 'class': 'cbi-section-create' }, [
			this.anonymous ? '' : name,
			E('button', {
				'class': 'cbi-button cbi-button-add', 'disabled': this.map.readonly ? '' : null,
				'click': ui.createHandlerFn(this, ev => {
					if (!this.anonymous && !/^\w+$/.test(name.value))
						return name.classList.add('cbi-input-invalid');
					return this.handleAdd(ev, this.anonymous ? undefined : name.value);
				})
			}, [ this.titleFn('addbtntitle') ?? 'Add' ])
		]);
	},
	async render() {
		const parts = [];
		for (const sid of this.cfgsections())
			parts.push(E('div', { 'class': 'cbi-section-node', 'data-section-id': sid }, [
				this.addremove ? E('div', { 'class': 'cbi-section-remove right' }, [ this.removeButton(sid) ]) : '',
				this.anonymous ? '' : E('h3', {}, [ this.titleFn('sectiontitle', sid) ?? sid ]),
				...await this.renderOptions(sid)
			]));
		return this.frame([
			...parts.length ? parts : [ E('em', {}, [ 'This section contains no values yet' ]) ],
			this.addButton()
		]);
	}
});

const TableSection = TypedSection.extend({
	cells() {
		return this.children.filter(option => option.modalonly !== true);
	},
	async cell(option, section_id, index) {
		const attributes = { ...option.attributes(section_id, 'td cbi-value-field'), 'data-title': option.title };
		return E('td', attributes, [ await option.renderField(section_id, index) ]);
	},
	rowActions(section_id) {
		return [ this.removeButton(section_id) ];
	},
	async render() {
		const rows = [];
		for (const [ index, sid ] of this.cfgsections().entries()) {
			const title = this.titleFn('sectiontitle', sid);
			rows.push(E('tr', { 'class': 'tr cbi-section-table-row', 'data-sid': sid, 'data-section-id': sid, 'data-title': title }, [
				title == null ? '' : E('td', { 'class': 'td cbi-section-table-titles' }, [ title ]),
				...await Promise.all(this.cells().map(option => this.cell(option, sid, index))),
				E('td', { 'class': 'td cbi-section-actions' }, this.renderRowActions(sid))
			]));
		}
		const titled = this.sectiontitle ? [ E('th', { 'class': 'th' }) ] : [];
		return this.frame([
			E('table', { 'class': 'table cbi-section-table' }, [
				E('tr', { 'class': 'tr cbi-section-table-titles' }, [
					...titled, ...this.cells().map(option => E('th', { 'class': 'th cbi-section-table-cell' }, option.title)), E('th', { 'class': 'th' })
				]),
				...rows.length ? rows : [ E('tr', { 'class': 'tr placeholder' }, [ E('td', { 'class': 'td' }, [ 'This section contains no values yet' ]) ]) ]
			]),
			this.addButton()
		]);
	},
	renderRowActions(section_id) {
		return this.rowActions(section_id);
	}
});

const GridSection = TableSection.extend({
	async cell(option, section_id, index) {
		if (option.editable)
			return TableSection.prototype.cell.call(this, option, section_id, index);
		return E('td', { 'class': 'td cbi-value-field', 'data-name': option.option, 'data-title': option.title }, option.textvalue(section_id));
	},
	rowActions(section_id) {
		return [ E('button', {
			'class': 'cbi-button cbi-button-edit', 'click': ui.createHandlerFn(this, 'renderMoreOptionsModal', section_id)
		}, [ 'Edit' ]), ' ', this.removeButton(section_id) ];
	},
	async handleAdd(ev, name) {
		this.added = uci.add(this.uciconfig ?? this.map.config, this.sectiontype, name);
		await this.renderMoreOptionsModal(this.added);
	},
	async renderMoreOptionsModal(section_id) {
		const map = new Map(this.map.config);
		map.readonly = this.map.readonly;
		const section = map.section(NamedSection, section_id, this.sectiontype);
		section.tabs = this.tabs;
		section.children = this.children.filter(option => option.modalonly !== false).map(option => Object.assign(
			Object.create(Object.getPrototypeOf(option)), option, { map, section, data: {} }));
		await this.addModalOptions?.(section, section_id);
		const node = await map.render();
		const close = async () => {
			if (this.added)
				uci.remove(this.uciconfig ?? this.map.config, this.added);
			delete this.added;
			ui.hideModal();
		};
		const save = async () => {
			await map.save(null, true);
			delete this.added;
			await this.map.reset();
			ui.hideModal();
		};
		ui.showModal(this.titleFn('modaltitle', section_id) ?? 'Edit', [ node, E('div', { 'class': 'right' }, [
			E('button', { 'class': 'cbi-button', 'click': ui.createHandlerFn(this, close) }, [ 'Dismiss' ]), ' ',
			E('button', {
				'class': 'cbi-button cbi-button-positive important', 'disabled': map.readonly ? '' : null, 'click': ui.createHandlerFn(this, save)
			}, [ 'Save' ])
		]) ], 'cbi-modal');
	}
});

/* The form -------------------------------------------------------------------------------------------------------- */

const Map = Node.extend({
	__init__(config, title, description) {
		this.super('__init__', [ title, description ]);
		Object.assign(this, { config, parsechain: [ config ], readonly: null });
	},
	chain(config) {
		if (!this.parsechain.includes(config))
			this.parsechain.push(config);
	},
	section(Class, ...args) {
		const made = new Class(this, ...args);
		this.children.push(made);
		return made;
	},
	async load() {
		await uci.load(this.parsechain);
		this.readonly ??= !L.hasViewPermission();
		for (const section of this.children)
			await section.load();
	},
	async render() {
		await this.load();
		return this.renderContents();
	},
	async renderContents() {
		if (!this.root) {
			this.root = E('div', { 'id': `cbi-${this.config}`, 'class': 'cbi-map' });
			dom.bindClassInstance(this.root, this);
		}
		const sections = [];
		for (const section of this.children)
			sections.push(await section.render());
		const panes = E('div', { 'class': this.tabbed ? 'cbi-map-tabbed' : null }, sections);
		dom.content(this.root, [
			this.title ? E('h2', { 'name': 'content' }, this.title) : '',
			this.description ? E('div', { 'class': 'cbi-map-descr' }, this.description) : '',
			panes
		]);
		if (this.tabbed)
			ui.tabs.initTabGroup(sections);
		/* Options find their widgets by the document: what is not shown yet is looked at when it is. */
		requestAnimationFrame(() => this.checkDepends());
		return this.root;
	},
	checkDepends() {
		for (let rounds = 0; rounds < 10 && this.children.map(section => section.checkDepends()).includes(true);)
			rounds++;
	},
	async parse() {
		this.checkDepends();
		for (const section of this.children)
			await section.parse();
	},
	async save(callback, silent) {
		try {
			await this.parse();
			await callback?.();
			await uci.save();
		}
		catch (error) {
			if (!silent)
				ui.showModal('Save error', [ E('p', {}, [ error.message ]),
					E('div', { 'class': 'right' }, [ E('button', { 'class': 'cbi-button', 'click': ui.hideModal }, [ 'Dismiss' ]) ]) ]);
			throw error;
		}
		await this.load();
		await this.renderContents();
	},
	reset() {
		return this.renderContents();
	},
	lookupOption(name, section_id) {
		for (const section of this.children)
			for (const option of section.children)
				if (option.option == name && (section_id == null || section.cfgsections().includes(section_id)))
					return [ option, section_id ?? section.cfgsections()[0] ];
		return null;
	}
});

return baseclass.extend({
	Map, NamedSection, TypedSection, TableSection, GridSection,
	AbstractValue: values.AbstractValue, Value: values.Value, DynamicList: values.DynamicList, ListValue: values.ListValue,
	MultiValue: values.MultiValue, Flag: values.Flag, TextValue: values.TextValue, DummyValue: values.DummyValue, Button: values.Button
});

'use strict';
'require baseclass';
'require dom';
'require uci';
'require ui';
'require validation';

/*
 * Stand-in for the options of LuCI's forms. What counts is kept as there: titles, descriptions and textvalue are HTML;
 * which values are written and which removed; what `depends` hides is removed; ids and data attributes.
 */

const isEmpty = value => value == null || value === '' || Array.isArray(value) && !value.length;
const equal = (a, b) => JSON.stringify(L.toArray(a)) == JSON.stringify(L.toArray(b));

/* Whatever has a title and children. */
const Node = baseclass.extend({
	__init__(title, description) {
		this.title = title ?? '';
		this.description = description ?? '';
		this.children = [];
	},
	titleFn(name, ...args) {
		return typeof this[name] == 'function' ? this[name](...args) : this[name];
	}
});

const AbstractValue = Node.extend({
	__init__(map, section, option, title, description) {
		this.super('__init__', [ title, description ]);
		Object.assign(this, { map, section, option, config: map.config, deps: [], rmempty: true, default: null, values: {} });
	},

	depends(field, value) {
		this.deps.push(typeof field == 'object' ? field : { [field]: value });
	},

	uci(section_id) {
		return [ this.uciconfig ?? this.section.uciconfig ?? this.map.config, this.ucisection ?? section_id, this.ucioption ?? this.option ];
	},
	load(section_id) {
		return uci.get(...this.uci(section_id));
	},
	write(section_id, value) {
		uci.set(...this.uci(section_id), value);
	},
	remove(section_id) {
		uci.unset(...this.uci(section_id));
	},

	cbid(section_id) {
		return `cbid.${this.map.config}.${section_id}.${this.option}`;
	},
	cfgvalue(section_id, ...set) {
		this.data ??= {};
		if (set.length)
			this.data[section_id] = set[0];
		return this.data[section_id];
	},
	value(key, text) {
		this.values[key] = text ?? key;
	},
	choices() {
		return Object.fromEntries(Object.entries(this.values).map(([ key, text ]) => [ key, dom.elem(text) ? text.cloneNode(true) : text ]));
	},

	/* This option's row in the page that is shown. */
	row(section_id) {
		return this.map.root?.querySelector(`[data-field="${CSS.escape(this.cbid(section_id))}"]`);
	},
	getUIElement(section_id) {
		const node = this.map.root?.querySelector(`#${CSS.escape(this.cbid(section_id))}`);
		const found = node ? dom.findClassInstance(node) : null;
		return found?.getValue ? found : null; // of what is no widget it is the map
	},
	formvalue(section_id) {
		return this.getUIElement(section_id)?.getValue() ?? null;
	},
	textvalue(section_id) {
		const value = this.cfgvalue(section_id) ?? this.default;
		return value == null ? null : '%h'.format(value);
	},

	isActive(section_id) {
		return !this.row(section_id)?.classList.contains('hidden');
	},
	checkDepends(section_id) {
		const met = dep => Object.entries(dep).every(([ name, wanted ]) => {
			const other = this.section.children.find(child => child.option == name);
			const value = other?.isActive(section_id) ? other.formvalue(section_id) : null;
			return wanted instanceof RegExp ? wanted.test(value ?? '') : L.toArray(value).includes(wanted) || equal(value, wanted);
		});
		return !this.deps.length || this.deps.some(met);
	},

	validate: () => true,
	/* What is wrong with what is in the widget: a text, or null. */
	fault(section_id) {
		const value = this.formvalue(section_id);
		if (isEmpty(value) && !this.rmempty && !this.optional)
			return 'Expecting: non-empty value';
		for (const one of Array.isArray(value) ? value : [ value ])
			if (!isEmpty(one) && this.datatype && !validation.fits(one, this.datatype))
				return `Expecting: ${this.datatype}`;
		const said = this.validate(section_id, Array.isArray(value) ? value.join(' ') : value ?? '');
		return said === true ? null : said || 'Invalid value';
	},
	isValid(section_id) {
		return this.fault(section_id) == null;
	},
	getValidationError(section_id) {
		return this.fault(section_id) ?? '';
	},
	mark(section_id) {
		const fault = this.isActive(section_id) && this.getUIElement(section_id) ? this.fault(section_id) : null;
		for (const input of this.row(section_id)?.querySelectorAll('input, select, textarea') ?? []) {
			input.classList.toggle('cbi-input-invalid', fault != null);
			if (fault != null)
				input.dataset.tooltip = fault;
			else
				delete input.dataset.tooltip;
		}
	},

	async parse(section_id) {
		if (!this.getUIElement(section_id))
			return;
		if (!this.isActive(section_id))
			return this.retain ? null : this.remove(section_id);
		const fault = this.fault(section_id);
		if (fault != null)
			throw new TypeError(`Option "${this.title}" contains an invalid input value. ${fault}`);
		const value = this.formvalue(section_id);
		if (this.removes(value))
			return this.remove(section_id);
		if (this.forcewrite || !equal(value, this.cfgvalue(section_id)))
			return this.write(section_id, value);
	},
	removes: isEmpty,

	widgetOptions(section_id) {
		return {
			id: `widget.${this.cbid(section_id)}`, placeholder: this.placeholder, password: this.password, optional: this.optional || this.rmempty,
			readonly: this.readonly, disabled: this.map.readonly || this.readonly, rows: this.rows
		};
	},
	renderWidget(section_id, index, value) {
		const options = this.widgetOptions(section_id);
		const widget = Object.keys(this.values).length
			? new ui.Combobox(value, this.choices(), options) : new ui.Textfield(value, options);
		return widget.render();
	},

	async renderField(section_id, index) {
		const value = this.cfgvalue(section_id) ?? this.default;
		const node = await this.renderWidget(section_id, index, value);
		node.id ||= this.cbid(section_id);
		for (const event of [ 'change', 'widget-change', 'input', 'focusout' ])
			node.addEventListener(event, ev => {
				this.mark(section_id);
				if (event.endsWith('change')) {
					this.onchange?.(ev, section_id, this.formvalue(section_id));
					this.map.checkDepends();
				}
			});
		return node;
	},
	attributes(section_id, classes) {
		return {
			'class': classes, 'data-name': this.option, 'data-field': this.cbid(section_id),
			'id': `cbi-${this.map.config}-${section_id}-${this.option}`
		};
	},
	async render(index, section_id) {
		return E('div', this.attributes(section_id, 'cbi-value'), [
			E('label', { 'class': 'cbi-value-title', 'for': `widget.${this.cbid(section_id)}` }, this.titleFn('title', section_id)),
			E('div', { 'class': 'cbi-value-field' }, [
				await this.renderField(section_id, index),
				this.description ? E('div', { 'class': 'cbi-value-description' }, this.titleFn('description', section_id)) : ''
			])
		]);
	}
});

const Value = AbstractValue.extend({});

const DynamicList = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return new ui.DynamicList(value, this.choices(), this.widgetOptions(section_id)).render();
	}
});

const ListValue = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return new ui.Select(value, this.choices(), { sort: Object.keys(this.values), ...this.widgetOptions(section_id), optional: this.optional }).render();
	}
});

const MultiValue = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return new ui.Select(value, this.choices(), { ...this.widgetOptions(section_id), multiple: true }).render();
	}
});

const Flag = AbstractValue.extend({
	__init__(...args) {
		this.super('__init__', args);
		Object.assign(this, { enabled: '1', disabled: '0', default: '0', forcewrite: true });
	},
	renderWidget(section_id, index, value) {
		return new ui.Checkbox(value, { ...this.widgetOptions(section_id), value_enabled: this.enabled, value_disabled: this.disabled }).render();
	},
	textvalue(section_id) {
		return (this.cfgvalue(section_id) ?? this.default) == this.enabled ? 'Yes' : 'No';
	},
	removes(value) {
		return value == this.default && (this.optional || this.rmempty);
	}
});

const TextValue = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return new ui.Textarea(value, this.widgetOptions(section_id)).render();
	}
});

/* What is only shown. */
const DummyValue = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return E('output', {}, this.rawhtml || dom.elem(value) ? value : [ value ]);
	},
	parse() {},
	remove() {},
	write() {}
});

const Button = AbstractValue.extend({
	renderWidget(section_id, index, value) {
		return E('div', {}, [ E('button', {
			'class': `cbi-button cbi-button-${this.inputstyle ?? 'button'}`, 'disabled': this.map.readonly || this.readonly ? '' : null,
			'click': ui.createHandlerFn(this, (id, ev) => {
				ev.preventDefault();
				return this.onclick(ev, id);
			}, section_id)
		}, [ this.titleFn('inputtitle', section_id) ?? this.title ]) ]);
	},
	parse() {}
});

return baseclass.extend({
	Node, AbstractValue, Value, DynamicList, ListValue, MultiValue, Flag, TextValue, DummyValue, Button
});

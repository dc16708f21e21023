'use strict';
'require baseclass';
'require dom';
'require uci';

/* Stand-in for what the pages use of LuCI's ui: dialogs, notifications, buttons that wait, tabs, and the apply. */

const overlay = E('div', { 'id': 'modal_overlay', 'tabindex': '-1', 'hidden': '' }, [
	E('div', { 'class': 'modal', 'role': 'dialog', 'aria-modal': 'true' })
]);
document.body.append(overlay);

const tooltip = E('div', { 'class': 'cbi-tooltip', 'hidden': '' });
document.body.append(tooltip);
for (const [ event, shown ] of [ [ 'mouseover', true ], [ 'focus', true ], [ 'mouseout', false ], [ 'blur', false ] ])
	document.addEventListener(event, ev => {
		const target = ev.target.closest?.('[data-tooltip]');
		tooltip.hidden = !(shown && target);
		tooltip.textContent = target?.dataset.tooltip ?? '';
	}, true);

/* A widget's node tells of changes by 'widget-change'; getValue and setValue are its instance's. */
const widget = {
	render() {
		const node = this.build();
		node.addEventListener('change', () => node.dispatchEvent(new CustomEvent('widget-change', { bubbles: true })));
		dom.bindClassInstance(node, this);
		this.node = node;
		return node;
	},
	isValid: () => true,
	triggerValidation: () => true
};

function element(members) {
	return baseclass.extend({ ...widget, ...members });
}

const Textfield = element({
	__init__(value, options = {}) {
		Object.assign(this, { value, options });
	},
	build() {
		const { id, password, placeholder, readonly, disabled } = this.options;
		this.input = E('input', {
			id, 'type': password ? 'password' : 'text', 'class': 'cbi-input-text', placeholder,
			'readonly': readonly ? '' : null, 'disabled': disabled ? '' : null
		});
		this.input.value = this.value ?? '';
		return E('div', {}, [ this.input ]);
	},
	getValue() {
		return this.input.value;
	},
	setValue(value) {
		this.input.value = value ?? '';
	}
});

const Textarea = element({
	__init__(value, options = {}) {
		Object.assign(this, { value, options });
	},
	build() {
		const { id, rows, placeholder, readonly, disabled } = this.options;
		this.input = E('textarea', {
			id, 'class': 'cbi-input-textarea', rows, placeholder,
			'readonly': readonly ? '' : null, 'disabled': disabled ? '' : null
		});
		this.input.value = this.value ?? '';
		return E('div', {}, [ this.input ]);
	},
	getValue() {
		return this.input.value;
	},
	setValue(value) {
		this.input.value = value ?? '';
	}
});

const Checkbox = element({
	__init__(value, options = {}) {
		Object.assign(this, { value, options: { value_enabled: '1', value_disabled: '0', ...options } });
	},
	build() {
		const { id, value_enabled, disabled } = this.options;
		this.input = E('input', { id, 'type': 'checkbox', 'disabled': disabled ? '' : null });
		this.input.checked = this.value == value_enabled;
		return E('div', { 'class': 'cbi-checkbox' }, [ this.input, E('label', { 'for': id }) ]);
	},
	getValue() {
		return this.input.checked ? this.options.value_enabled : this.options.value_disabled;
	},
	setValue(value) {
		this.input.checked = value == this.options.value_enabled;
	}
});

const Select = element({
	__init__(value, choices, options = {}) {
		Object.assign(this, { value, choices, options });
	},
	build() {
		const { id, sort, optional, multiple, disabled } = this.options;
		const keys = Array.isArray(sort) ? sort : Object.keys(this.choices);
		this.input = E('select', {
			id, 'class': 'cbi-input-select', 'multiple': multiple ? '' : null, 'disabled': disabled ? '' : null
		}, [
			...(optional && !multiple && !keys.includes('') ? [ E('option', { 'value': '' }, [ '-- Please choose --' ]) ] : []),
			...keys.map(key => E('option', { 'value': key }, [ this.choices[key] ]))
		]);
		this.setValue(this.value);
		return E('div', {}, [ this.input ]);
	},
	getValue() {
		const chosen = [ ...this.input.selectedOptions ].map(option => option.value);
		return this.options.multiple ? chosen : chosen[0] ?? null;
	},
	setValue(value) {
		const wanted = this.options.multiple ? L.toArray(value) : [ value ?? '' ];
		for (const key of wanted.filter(key => key !== '' && ![ ...this.input.options ].some(option => option.value == key)))
			this.input.append(E('option', { 'value': key }, [ key ]));
		for (const option of this.input.options)
			option.selected = wanted.includes(option.value);
	}
});

/* Free text with proposals, where LuCI opens a list. */
const Combobox = element({
	__init__(value, choices, options = {}) {
		Object.assign(this, { value, choices, options });
	},
	build() {
		const { id, placeholder, disabled } = this.options;
		this.input = E('input', {
			id, 'type': 'text', 'class': 'cbi-input-text', placeholder, 'list': `${id}.choices`, 'disabled': disabled ? '' : null
		});
		this.input.value = this.value ?? '';
		return E('div', { 'class': 'cbi-dropdown' }, [ this.input, E('datalist', { 'id': `${id}.choices` },
			Object.entries(this.choices ?? {}).map(([ key, text ]) => E('option', { 'value': key }, [ text ]))) ]);
	},
	getValue() {
		return this.input.value;
	},
	setValue(value) {
		this.input.value = value ?? '';
	}
});

const Dropdown = Select;

const DynamicList = element({
	__init__(values, choices, options = {}) {
		Object.assign(this, { values: L.toArray(values), choices, options });
	},
	build() {
		const { id, placeholder, disabled } = this.options;
		this.items = E('div', {}, []);
		this.input = E('input', { 'id': id ? `${id}.new` : null, 'type': 'text', placeholder, 'disabled': disabled ? '' : null });
		const add = () => {
			if (this.input.value)
				this.setValue([ ...this.getValue(), this.input.value ]);
			this.input.value = '';
			this.node.dispatchEvent(new CustomEvent('widget-change', { bubbles: true }));
		};
		this.input.addEventListener('keydown', ev => {
			if (ev.key == 'Enter')
				ev.preventDefault(), add();
		});
		const node = E('div', { 'class': 'cbi-dynlist', id }, [
			this.items,
			E('div', { 'class': 'add-item control-group' }, [
				this.input,
				E('button', { 'class': 'cbi-button cbi-button-add', 'disabled': disabled ? '' : null, 'click': ev => (ev.preventDefault(), add()) }, [ '+' ])
			])
		]);
		this.setValue(this.values);
		return node;
	},
	getValue() {
		return [ ...this.items.children ].map(item => item.dataset.value);
	},
	setValue(values) {
		this.items.replaceChildren(...L.toArray(values).map(value => E('div', {
			'class': 'item', 'data-value': value,
			'click': ev => this.options.disabled || ev.currentTarget.remove()
		}, [ E('span', {}, [ this.choices?.[value] ?? value ]) ])));
	}
});

return baseclass.extend({
	Textfield, Textarea, Checkbox, Select, Combobox, Dropdown, DynamicList,

	showModal(title, children, ...classes) {
		const dialog = overlay.firstElementChild;
		dialog.className = [ 'modal', ...classes ].join(' ');
		dom.content(dialog, E('h4', {}, title));
		dom.append(dialog, children);
		overlay.hidden = false;
		document.body.classList.add('modal-overlay-active');
		overlay.focus();
		return dialog;
	},

	/* As there: what was in the dialog stays in the document, out of sight. */
	hideModal() {
		overlay.hidden = true;
		document.body.classList.remove('modal-overlay-active');
	},

	addNotification(title, children, ...classes) {
		const text = E('div', { 'style': 'flex:10' });
		const note = E('div', { 'class': 'alert-message', 'style': 'display:flex' }, [
			text, E('button', { 'class': 'btn', 'click': () => note.remove() }, [ 'Dismiss' ])
		]);
		if (title != null)
			dom.append(text, E('h4', {}, title));
		dom.append(text, children);
		note.classList.add(...classes);
		document.getElementById('maincontent').prepend(note);
		return note;
	},

	addTimeLimitedNotification(title, children, milliseconds, ...classes) {
		const note = this.addNotification(title, children, ...classes);
		window.setTimeout(() => note.remove(), milliseconds);
		return note;
	},

	createHandlerFn(context, fn, ...args) {
		const run = typeof fn == 'string' ? context[fn] : fn;
		if (typeof run != 'function')
			return null;
		return ev => {
			const button = ev.currentTarget;
			button.classList.add('spinning');
			button.disabled = true;
			button.blur();
			Promise.resolve(run.call(context, ...args, ev)).finally(() => {
				button.classList.remove('spinning');
				button.disabled = false;
			});
		};
	},

	/* Of nodes those with data-tab and data-tab-title. As there, a group that is drawn anew shows the tab that it showed. */
	tabs: {
		chosen: {},

		initTabGroup(panes) {
			panes = [ ...panes ].filter(pane => pane.dataset?.tabTitle != null);
			if (!panes.length)
				return;
			const group = panes.map(pane => pane.dataset.tab).join();
			const menu = E('ul', { 'class': 'cbi-tabmenu' });
			const show = shown => {
				this.chosen[group] = shown.dataset.tab;
				for (const pane of panes) {
					pane.dataset.tabActive = String(pane == shown);
					pane.hidden = pane != shown;
				}
				[ ...menu.children ].forEach((item, i) => {
					item.className = panes[i] == shown ? 'cbi-tab' : 'cbi-tab-disabled';
				});
				shown.dispatchEvent(new CustomEvent('cbi-tab-active', { detail: { tab: shown.dataset.tab } }));
			};
			for (const pane of panes)
				menu.append(E('li', { 'data-tab': pane.dataset.tab }, [
					E('a', { 'href': '#', 'click': ev => (ev.preventDefault(), show(pane)) }, [ pane.dataset.tabTitle ])
				]));
			panes[0].parentNode.insertBefore(menu, panes[0]);
			show(panes.find(pane => pane.dataset.tab == this.chosen[group]) ?? panes[0]);
		}
	},

	changes: {
		/* As there it gives no promise: a dialog tells how it goes, an event that it went well, and the page is loaded anew. */
		apply(checked) {
			const say = (kind, text) => L.ui.showModal(null, [ E('p', {}, [ text ]) ], 'alert-message', kind);
			say('notice', 'Applying configuration changes…');
			uci.changes().then(async changes => {
				if (!Object.keys(changes).length) {
					say('notice', 'There are no changes to apply');
					return L.ui.hideModal();
				}
				await uci.apply(checked ? 90 : 0);
				say('notice', 'Configuration changes applied.');
				document.dispatchEvent(new CustomEvent('uci-applied'));
				window.setTimeout(() => {
					window.location = window.location.href.split('#')[0];
				}, 50);
			}).catch(error => say('warning', `Apply request failed with status ${error.message}`));
		},
		init() {},
		displayChanges() {}
	}
});

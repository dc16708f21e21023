'use strict';
/*
 * A stand-in for LuCI's own luci.js, for tests only: it loads modules by their 'require' lines, makes DOM nodes, shows a
 * view. Where the pages depend on what LuCI does, it does the same, traps included: a bare string given as child is HTML.
 * Nothing here happens by the clock: `standin.pass(seconds)` lets the polls run that are due then.
 * The server fills in window.standinPage: {user, readonly, view, resources, themes}.
 */
(() => {
	const page = window.standinPage;

	/* Texts ------------------------------------------------------------------------------------------------------- */

	const escape = text => String(text ?? '').replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

	const conversions = {
		s: value => String(value),
		d: value => Math.floor(+value || 0).toFixed(0),
		h: escape,
		f: (value, precision) => (+value || 0).toFixed(precision ?? 6),
		x: value => Math.floor(+value || 0).toString(16)
	};

	String.prototype.format = function(...values) {
		return this.replace(/%(?:(%)|(0?)(\d*)(?:\.(\d+))?([a-zA-Z]))/g, (all, percent, zero, width, precision, kind) => {
			if (percent)
				return '%';
			if (!conversions[kind])
				throw new Error(`the stand-in has no format ${all}`);
			if (!values.length)
				throw new Error(`no value for ${all} in: ${this}`);
			return conversions[kind](values.shift(), precision && +precision).padStart(+width, zero ? '0' : ' ');
		});
	};

	window._ = text => text;
	window.N_ = (count, one, many) => count == 1 ? one : many;

	/* Classes ----------------------------------------------------------------------------------------------------- */

	class Base {
		constructor(...args) {
			this.__init__?.(...args);
		}
		super(name, args = []) {
			/* The method of the class above the one that holds the method which runs now. */
			const running = (this.__depth ??= {})[name] ?? this;
			let holder = running;
			while (!Object.hasOwn(holder, name))
				holder = Object.getPrototypeOf(holder);
			const above = Object.getPrototypeOf(holder);
			this.__depth[name] = above;
			try {
				return typeof above[name] == 'function' ? above[name].apply(this, args) : above[name];
			}
			finally {
				this.__depth[name] = running;
			}
		}
		static extend(members) {
			const Child = class extends this {};
			for (const [name, value] of Object.entries(members))
				Object.defineProperty(Child.prototype, name, { value, writable: true, enumerable: true, configurable: true });
			return Child;
		}
		static singleton(members) {
			return new (this.extend(members))();
		}
	}

	/* DOM --------------------------------------------------------------------------------------------------------- */

	const instances = new WeakMap();

	const dom = {
		elem: thing => thing != null && typeof thing == 'object' && 'nodeType' in thing,

		append(node, children) {
			if (Array.isArray(children))
				for (const child of children)
					if (dom.elem(child))
						node.appendChild(child);
					else if (child != null)
						node.appendChild(document.createTextNode(String(child)));
					else
						continue;
			else if (typeof children == 'function')
				return dom.append(node, children(node));
			else if (dom.elem(children))
				node.appendChild(children);
			else if (children != null)
				node.innerHTML = String(children); /* as LuCI: HTML, and instead of what is there */
			return node.lastChild;
		},

		content(node, children) {
			node.replaceChildren();
			return dom.append(node, children);
		},

		attr(node, key, value) {
			for (const [name, given] of Object.entries(typeof key == 'object' ? key ?? {} : { [key]: value }))
				if (typeof given == 'function')
					node.addEventListener(name, given);
				else if (given != null)
					node.setAttribute(name, typeof given == 'object' ? JSON.stringify(given) : given);
		},

		create(what, attributes, children) {
			if (!(attributes instanceof Object) || Array.isArray(attributes)) /* a node counts as attributes, and is lost */
				[attributes, children] = [null, attributes];
			let node;
			if (Array.isArray(what)) {
				node = document.createDocumentFragment();
				node.append(...what.map(one => dom.create(one)));
			}
			else if (dom.elem(what))
				node = what;
			else if (what.startsWith('<'))
				node = new DOMParser().parseFromString(what, 'text/html').body.firstChild;
			else
				node = document.createElement(what);
			dom.attr(node, attributes);
			dom.append(node, children);
			return node;
		},

		parent: (node, selector) => node.closest(selector),
		matches: (node, selector) => node.matches(selector),
		parse: text => new DOMParser().parseFromString(text, 'text/html').body.firstChild,
		bindClassInstance: (node, instance) => (instances.set(node, instance), instance),

		findClassInstance(node) {
			while (node && !instances.has(node))
				node = node.parentNode;
			return node ? instances.get(node) : null;
		},

		callClassMethod(node, method, ...args) {
			return dom.findClassInstance(node)?.[method]?.(...args) ?? null;
		},

		isEmpty: node => !node.firstElementChild
	};

	window.E = (...args) => dom.create(...args);

	/* Polls: virtual seconds, that a test lets pass --------------------------------------------------------------- */

	const poll = {
		queue: [],

		add(fn, interval = 5) {
			if (typeof fn != 'function' || !(interval > 0))
				throw new TypeError('poll.add wants a function and seconds');
			if (poll.queue.some(entry => entry.fn === fn))
				return false;
			poll.queue.push({ fn, interval, running: false });
			return true;
		},

		remove(fn) {
			const before = poll.queue.length;
			poll.queue = poll.queue.filter(entry => entry.fn !== fn);
			return poll.queue.length != before;
		},

		active: () => true,
		start: () => false,
		stop: () => false
	};

	let seconds = 0;

	window.standin = {
		/* Let so many seconds pass: whatever poll is due runs, one second after the other, and is waited for. */
		async pass(count) {
			for (let i = 0; i < count; i++) {
				seconds++;
				const due = poll.queue.filter(entry => seconds % entry.interval == 0 && !entry.running);
				await Promise.all(due.map(async entry => {
					entry.running = true;
					try {
						await entry.fn();
					}
					finally {
						entry.running = false;
					}
				}));
			}
		},
		/* How many functions are polled. */
		polls: () => poll.queue.length
	};

	/* A view that cannot be shown: the test hears of it by the error. */
	function failed(error) {
		document.getElementById('view').dataset.ready = 'failed';
		throw error;
	}

	/* Views ------------------------------------------------------------------------------------------------------- */

	const View = Base.extend({
		__init__() {
			const place = document.getElementById('view');
			dom.content(place, E('div', { 'class': 'spinning' }, [ 'Loading view…' ]));
			Promise.resolve(this.load())
				.then(loaded => this.render(loaded))
				.then(nodes => {
					dom.content(place, nodes);
					dom.append(place, this.addFooter());
					place.dataset.ready = '1';
				})
				.catch(failed);
		},
		load() {},
		render() {},

		maps(method) {
			return Promise.all([...document.querySelectorAll('#maincontent .cbi-map')]
				.map(map => dom.callClassMethod(map, method)));
		},
		handleSave() {
			return this.maps('save');
		},
		handleSaveApply(ev, mode) {
			return this.handleSave(ev).then(() => L.ui.changes.apply(mode == '0'));
		},
		handleReset() {
			return this.maps('reset');
		},

		addFooter() {
			const disabled = page.readonly || null;
			const button = (classes, handler, text, ...args) => handler ? E('button', {
				'class': `cbi-button ${classes}`, disabled, 'click': L.ui.createHandlerFn(this, handler, ...args)
			}, [ text ]) : '';
			if (!this.handleSave && !this.handleSaveApply && !this.handleReset)
				return E([]);
			return E('div', { 'class': 'cbi-page-actions' }, [
				button('cbi-button-apply important', this.handleSaveApply && function(ev) {
					return this.handleSaveApply(ev, '0');
				}, 'Save & Apply'), ' ',
				button('cbi-button-save', this.handleSave, 'Save'), ' ',
				button('cbi-button-reset', this.handleReset, 'Reset')
			]);
		}
	});

	/* Modules ----------------------------------------------------------------------------------------------------- */

	const modules = {
		baseclass: Promise.resolve(Base),
		dom: Promise.resolve(dom),
		poll: Promise.resolve(poll),
		view: Promise.resolve(View)
	};

	async function load(name, from) {
		const path = `${page.resources}/${name.replace(/\./g, '/')}.js`;
		const answer = await fetch(path);
		if (!answer.ok)
			throw new Error(`HTTP ${answer.status}: ${path}`);
		const source = await answer.text();
		const wanted = [];
		/* The strings at its beginning: 'use strict' and what it requires; comments may stand between. */
		const line = /^(?:\s|;|\/\/[^\n]*|\/\*[^]*?\*\/)*(['"])([^'"\n]*)\1/;
		for (let rest = source, found; (found = line.exec(rest)); rest = rest.slice(found[0].length)) {
			const words = /^require[ \t]+(\S+)(?:[ \t]+as[ \t]+(\S+))?$/.exec(found[2]);
			if (words)
				wanted.push({ name: words[1], as: words[2] ?? words[1].replace(/\W/g, '_') });
			else if (found[2] != 'use strict')
				break;
		}
		const given = await Promise.all(wanted.map(one => require(one.name, from)));
		const factory = new Function('window', 'document', 'L', ...wanted.map(one => one.as),
			`${source}\n//# sourceURL=${path}`);
		const Made = factory(window, document, L, ...given);
		if (!(Made?.prototype instanceof Base))
			throw new TypeError(`${name} gives no class`);
		return new Made();
	}

	function require(name, from = []) {
		if (from.includes(name))
			return Promise.reject(new Error(`${name} requires itself`));
		return modules[name] ??= load(name, [...from, name]);
	}

	window.L = {
		env: { sessionid: page.user, apply_rollback: 90, apply_holdoff: 4, apply_display: 1.5, pollinterval: 5, base_url: page.resources },
		Class: Base,
		dom, poll, require,
		view: View,
		url: (...parts) => ['/cgi-bin/luci', ...parts].join('/'),
		resource: (...parts) => [page.resources, ...parts].join('/'),
		hasViewPermission: () => !page.readonly,
		hasSystemFeature: () => true,
		isObject: thing => thing != null && typeof thing == 'object',
		toArray: thing => thing == null || thing === '' ? [] : Array.isArray(thing) ? thing
			: typeof thing == 'object' ? [ thing ] : String(thing).trim().split(/\s+/),
		resolveDefault: (promise, otherwise) => Promise.resolve(promise).catch(() => otherwise),
		bind: (fn, self, ...args) => fn.bind(self, ...args),
		sortedKeys: object => Object.keys(object).sort(),
		naturalCompare: new Intl.Collator(undefined, { numeric: true }).compare,
		raise(type, text, ...values) {
			/* As there, the message has a second line that no user should see. */
			throw Object.assign(new Error(`${text.format(...values)}\n  at stand-in`), { name: type });
		},
		error(type, text, ...values) {
			L.raise(type instanceof Error ? type.name : type, type instanceof Error ? type.message : text, ...values);
		}
	};

	window.addEventListener('DOMContentLoaded', () =>
		require('ui').then(ui => { L.ui = ui; }).then(() => require(page.view)).catch(failed));
})();

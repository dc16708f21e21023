'use strict';
'require baseclass';
'require rpc';

/*
 * Stand-in for LuCI's uci: what was loaded, with what the page has changed since, and a journal of these changes that
 * `save` sends to the router in their order.
 */

const call = (method, params, expect) => rpc.declare({ object: 'uci', method, params, expect, reject: true });
const get = call('get', [ 'config' ], { values: {} });
const add = call('add', [ 'config', 'type', 'name', 'values' ], { section: '' });
const set = call('set', [ 'config', 'section', 'values' ]);
const remove = call('delete', [ 'config', 'section', 'options' ]);
const order = call('order', [ 'config', 'sections' ]);
const apply = call('apply', [ 'timeout', 'rollback' ]);
const confirm = call('confirm', []);

return baseclass.extend({
	__init__() {
		this.values = {};
		this.journal = [];
		this.made = 0;
	},

	load(packages) {
		const missing = L.toArray(packages).filter(conf => !this.values[conf]);
		return Promise.all(missing.map(async conf => {
			this.values[conf] = structuredClone(await get(conf));
		})).then(() => missing);
	},

	unload(packages) {
		for (const conf of L.toArray(packages)) {
			delete this.values[conf];
			this.journal = this.journal.filter(change => change.conf != conf);
		}
	},

	resolveSID(conf, sid) {
		const [ , type, position ] = /^@([\w-]+)\[(-?\d+)\]$/.exec(sid) ?? [];
		return type ? this.sections(conf, type).at(+position)?.['.name'] ?? null : sid;
	},

	sections(conf, type, callback) {
		const found = Object.values(this.values[conf] ?? {})
			.filter(section => !type || section['.type'] == type)
			.sort((a, b) => a['.index'] - b['.index'])
			.map((section, index) => ({ ...section, '.index': index }));
		if (callback)
			for (const section of found)
				callback.call(this, section, section['.name']);
		return found;
	},

	get(conf, sid, option) {
		const section = this.values[conf]?.[this.resolveSID(conf, sid)];
		return (option == null ? section : section?.[option]) ?? null;
	},

	get_first(conf, type, option) {
		const first = this.sections(conf, type)[0];
		return first ? this.get(conf, first['.name'], option) : null;
	},

	get_bool(conf, sid, option) {
		return [ '1', 'on', 'true', 'yes', 'enabled' ].includes(String(this.get(conf, sid, option)).toLowerCase());
	},

	/* As there: an empty value deletes, a section that does not exist is left alone. */
	set(conf, sid, option, value) {
		sid = this.resolveSID(conf, sid);
		const section = this.values[conf]?.[sid];
		if (!section || option == null || option.startsWith('.'))
			return;
		if (value == null || value === '') {
			if (!(option in section))
				return;
			delete section[option];
			this.journal.push({ conf, sid, run: sid => remove(conf, sid, [ option ]) });
		}
		else {
			section[option] = value;
			this.journal.push({ conf, sid, run: sid => set(conf, sid, { [option]: value }) });
		}
	},

	unset(conf, sid, option) {
		this.set(conf, sid, option, null);
	},

	add(conf, type, name) {
		const sid = name || `new${String(++this.made).padStart(6, '0')}`;
		(this.values[conf] ??= {})[sid] = {
			'.type': type, '.name': sid, '.anonymous': !name, '.create': name, '.index': 1000 + this.made
		};
		this.journal.push({ conf, sid, run: () => add(conf, type, name ?? undefined, {}) });
		return sid;
	},

	remove(conf, sid) {
		sid = this.resolveSID(conf, sid);
		if (!this.values[conf]?.[sid])
			return;
		delete this.values[conf][sid];
		const added = this.journal.some(change => change.sid == sid && change.conf == conf && /^new\d{6}$/.test(sid));
		if (added)
			this.journal = this.journal.filter(change => change.conf != conf || change.sid != sid);
		else
			this.journal.push({ conf, sid, run: sid => remove(conf, sid) });
	},

	move(conf, sid, other, after) {
		const names = this.sections(conf).map(section => section['.name']).filter(name => name != sid);
		names.splice(other == null ? names.length : names.indexOf(other) + !!after, 0, sid);
		names.forEach((name, index) => {
			this.values[conf][name]['.index'] = index;
		});
		this.journal.push({ conf, sid: null, run: (_, real) => order(conf, names.map(name => real[name] ?? name)) });
		return true;
	},

	async save() {
		const journal = this.journal.splice(0);
		const real = {};
		for (const { conf, sid, run } of journal) {
			const section = await run(real[sid] ?? sid, real);
			if (typeof section == 'string')
				real[sid] = section;
			delete this.values[conf];
		}
		return this.load([ ...new Set(journal.map(change => change.conf)) ]);
	},

	changes: rpc.declare({ object: 'uci', method: 'changes', expect: { changes: {} } }),

	async apply(timeout = 10) {
		await apply(timeout, true);
		return confirm();
	}
});

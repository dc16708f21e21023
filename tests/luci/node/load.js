'use strict';
/* Loads a module of luci-app-wgp2p as LuCI does: as the body of a function, with what its 'require' lines name. */
const fs = require('node:fs');
const path = require('node:path');

const RESOURCES = path.join(__dirname, '../../../luci-app-wgp2p/htdocs/luci-static/resources');

/* LuCI gives every string this method; of its formats the pages use these. */
String.prototype.format = function(...values) {
	return this.replace(/%([%sd])/g, (all, kind) => {
		if (kind == '%')
			return '%';
		if (!values.length)
			throw new Error(`no value for ${all} in: ${this}`);

		const value = values.shift();

		return kind == 'd' ? Math.floor(Number(value) || 0).toFixed(0) : String(value);
	});
};

/** What the module (`wgp2p/words`) returns. `given`: LuCI's own modules, by the name that is required. */
function load(name, given = {}) {
	const source = fs.readFileSync(path.join(RESOURCES, `${name}.js`), 'utf8');
	const required = [ ...source.matchAll(/^'require ([\w.]+)(?: as (\w+))?';$/gm) ];
	const modules = { baseclass: { extend: members => members }, ...given };
	const values = required.map(([ , one ]) => modules[one] ?? load(one.replace(/\./g, '/'), given));

	return new Function('_', ...required.map(([ , one, as ]) => as ?? one), source)(text => text, ...values);
}

module.exports = { load };

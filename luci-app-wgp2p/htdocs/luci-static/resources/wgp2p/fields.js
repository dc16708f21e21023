'use strict';
'require baseclass';
'require form';
'require uci';
'require wgp2p.addresses as addresses';

/* Options of a form, so that saving changes nothing in the file but what was changed in the form: an option that is not
 * there stays away as long as it shows its default. */

const WORD = { on: true, true: true, yes: true, enabled: true, off: false, false: false, no: false, disabled: false };

const written = value => value in WORD ? Number(WORD[value]).toString() : value;
const whole = (least, most) => ({ datatype: `and(uinteger,range(${least},${most}))` });
const checked = (good, words) => ({ validate: (section, value) => value == '' || good(value) || words });

return baseclass.extend({
	/** What a text may be, for `put`. */
	whole,
	port: whole(1, 65535),
	path: checked(value => value.startsWith('/') && !/\p{C}/u.test(value), _('A path begins with “/”.')),
	device: checked(value => /^[^\s/]{1,15}$/.test(value), _('The name of a network device has 1 to 15 letters, without spaces.')),
	forward: checked(value => {
		const [ , outside, ip, inside ] = /^(\d+):([\d.]+)(?::(\d+))?$/.exec(value) ?? [];

		return outside >= 1024 && outside <= 65535 && addresses.ip(ip) == ip && (inside == null || inside >= 1 && inside <= 65535);
	}, _('Write PORT:ADDRESS or PORT:ADDRESS:PORT, such as 51821:192.168.1.20:51820.')),

	/** An option of a section. @param {object} more what else it is to have. */
	put(section, Class, name, title, help, more = {}) {
		return Object.assign(section.option(Class, name, title, help), { rmempty: true }, more);
	},

	/** A checkbox. @param {string} fallback what holds without it: 0 or 1. */
	flag(section, name, fallback, title, help) {
		const option = this.put(section, form.Flag, name, title, help, { default: fallback, rmempty: false });
		const now = id => written(uci.get(section.map.config, id, name) ?? fallback);

		option.load = now;
		option.write = (id, value) => {
			if (value != now(id))
				uci.set(section.map.config, id, name, value);
		};

		return option;
	},

	/** One of some words. @param {Array<[string, string]>} words each with what is shown; the first one is the default. */
	choice(section, name, words, title, help) {
		const option = this.put(section, form.ListValue, name, title, help, { default: words[0][0], rmempty: false });
		const now = id => uci.get(section.map.config, id, name) ?? words[0][0];

		for (const [ word, shown ] of words)
			option.value(word, shown);
		option.load = now;
		option.write = (id, value) => {
			if (value != now(id))
				uci.set(section.map.config, id, name, value);
		};

		return option;
	},

	/** The WireGuard interfaces of this router, to choose one. */
	wireguard(section, help, required) {
		const option = this.put(section, form.Value, 'interface', _('WireGuard interface'), help, { ...this.device, rmempty: !required });

		for (const one of uci.sections('network', 'interface').filter(one => one.proto == 'wireguard'))
			option.value(one['.name']);

		return option;
	}
});

'use strict';
'require baseclass';

/* Pure: what an option of a section says, as uci.sections() gives it. */

const ON = /^(1|on|true|yes|enabled)$/i;

const list = value => Array.isArray(value) ? value : value ? [ value ] : [];

return baseclass.extend({
	/** A list's elements; wgp2p takes an `option` for a list of one. */
	list,

	/** The same where an `option` may name several, as netifd and firewall4 take it: addresses, networks, interfaces. */
	words: value => list(value).flatMap(text => text.split(/\s+/)).filter(word => word != ''),

	/** Whether a switch is on. `otherwise`: what holds where the option is missing. */
	on: (value, otherwise) => value == null ? otherwise : ON.test(value),

	ofType: (sections, type) => sections.filter(section => section['.type'] == type)
});

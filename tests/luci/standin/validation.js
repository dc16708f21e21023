'use strict';
'require baseclass';

/* Stand-in for LuCI's datatypes: roughly, and those that the pages name. An unknown one is an error: LuCI would say nothing. */

const number = text => /^-?\d+(\.\d+)?$/.test(text) ? +text : NaN;
const whole = text => /^-?\d+$/.test(text) ? +text : NaN;
const ip4 = text => /^\d+\.\d+\.\d+\.\d+$/.test(text) && text.split('.').every(part => +part < 256);
const ip6 = text => text.includes(':') && /^[0-9a-f:.]+$/i.test(text);
const hostname = text => /^[\w]([\w.-]*[\w])?$/.test(text) && !/^[\d.]+$/.test(text);

const types = {
	string: () => true,
	bool: text => [ '0', '1' ].includes(text),
	integer: text => !isNaN(whole(text)),
	uinteger: text => whole(text) >= 0,
	float: text => !isNaN(number(text)),
	port: text => whole(text) >= 0 && whole(text) <= 65535,
	range: (text, low, high) => number(text) >= +low && number(text) <= +high,
	min: (text, low) => number(text) >= +low,
	max: (text, high) => number(text) <= +high,
	minlength: (text, low) => text.length >= +low,
	maxlength: (text, high) => text.length <= +high,
	rangelength: (text, low, high) => text.length >= +low && text.length <= +high,
	ip4addr: text => ip4(text),
	ip6addr: text => ip6(text),
	ipaddr: text => ip4(text) || ip6(text),
	hostname,
	host: text => hostname(text) || ip4(text) || ip6(text),
	cidr4: text => ip4(text.split('/')[0]) && whole(text.split('/')[1] ?? '') <= 32,
	cidr6: text => ip6(text.split('/')[0]) && whole(text.split('/')[1] ?? '') <= 128,
	cidr: text => types.cidr4(text) || types.cidr6(text),
	hostport: text => types.host(text.replace(/:\d+$/, '')) && types.port(text.split(':').pop()),
	netdevname: text => /^[^\s/]{1,15}$/.test(text),
	uciname: text => /^\w+$/.test(text),
	file: text => text.startsWith('/'),
	directory: text => text.startsWith('/'),
	or: (text, ...inner) => inner.some(one => fits(text, one)),
	and: (text, ...inner) => inner.every(one => fits(text, one)),
	list: (text, inner) => text.trim().split(/\s+/).every(one => fits(one, inner))
};

function fits(text, type) {
	const [ , name, inside ] = /^(\w+)(?:\((.*)\))?$/.exec(type) ?? [];
	if (!types[name])
		throw new TypeError(`the stand-in knows no datatype ${type}`);
	/* Arguments, parted by the commas that are not in parentheses of their own. */
	const args = inside ? inside.match(/[^,(]+(\((?:[^()]|\([^()]*\))*\))?/g).map(one => one.trim()) : [];
	return types[name](String(text), ...args);
}

return baseclass.extend({ fits });

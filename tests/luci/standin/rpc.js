'use strict';
'require baseclass';

/* Stand-in for LuCI's rpc: what a call gives when it is refused is as there, see declare. */

const words = [ 'Command OK', 'Invalid command', 'Invalid argument', 'Method not found', 'Resource not found', 'No data received',
	'Permission denied', 'Request timeout', 'Not supported', 'Unspecified error', 'Connection lost' ];

let requests = 0;

return baseclass.extend({
	/*
	 * A function that makes this call. A ubus status other than 0 rejects only with `reject`; without it the promise
	 * resolves with the body that came with it, or with the number. What is no answer of the object (it is not there, the
	 * session may not) always rejects.
	 */
	declare({ object, method, params = [], expect, filter, reject }) {
		return async (...args) => {
			const given = Object.fromEntries(params.map((name, i) => [ name, args[i] ]));
			const answer = await fetch(L.url('admin/ubus'), {
				method: 'POST',
				body: JSON.stringify({ jsonrpc: '2.0', id: ++requests, method: 'call', params: [ L.env.sessionid, object, method, given ] })
			});
			if (!answer.ok)
				L.raise('RPCError', 'RPC call to %s/%s failed with HTTP error %d: %s', object, method, answer.status, answer.statusText);
			const { error, result } = await answer.json();
			if (error)
				L.raise('RPCError', 'RPC call to %s/%s failed with error %d: %s', object, method, error.code, error.message);
			if (reject && result[0] !== 0)
				L.raise('RPCError', 'RPC call to %s/%s failed with ubus code %d: %s', object, method, result[0], this.getStatusText(result[0]));

			let value = result.length > 1 ? result[1] : result[0];
			for (const [ key, otherwise ] of Object.entries(expect ?? {}).slice(0, 1)) {
				if (key !== '')
					value = value?.[key];
				if (Object.prototype.toString.call(value) != Object.prototype.toString.call(otherwise))
					value = otherwise;
			}
			return filter ? filter.call(this, value, given, ...args.slice(params.length)) : value;
		};
	},

	getStatusText: status => words[status] ?? 'Unknown error code',
	getSessionID: () => L.env.sessionid
});

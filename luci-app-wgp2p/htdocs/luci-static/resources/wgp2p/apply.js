'use strict';
'require baseclass';
'require rpc';
'require uci';
'require wgp2p.backend as backend';

/* Changes to UCI, applied at once with rpcd's rollback, and taken up by the running WireGuard.
 *
 * LuCI's own dialog (ui.changes.apply) ends with a new page, and with it a private key that is to be shown once would be
 * gone. So the two steps that it is made of are done here.
 *
 * netifd does not see that a peer has come or gone (its sections are none of the interface's), so `wgp2p client apply`
 * tells the running WireGuard, without touching the other peers. Where that fails the interface can be restarted, which
 * is for people to say. */

const CONFIGS = [ 'network', 'firewall', 'wgp2p' ];
const ROLLBACK_S = 30;

const declare = (object, method, params) => rpc.declare({ object, method, params, reject: true });
const down = declare('network.interface', 'down', [ 'interface' ]), up = declare('network.interface', 'up', [ 'interface' ]);
const apply = declare('uci', 'apply', [ 'timeout', 'rollback' ]), confirm = declare('uci', 'confirm');

/* uci.apply() of LuCI before June 2026 says that all is well before the router is told that it is still reached: who
 * left the page at that moment would have the change rolled back, and nobody would hear of a failure. */
async function applyAndConfirm() {
	await apply(ROLLBACK_S, true);

	const end = Date.now() + ROLLBACK_S * 1000;

	for (;;) {
		await new Promise(resolve => setTimeout(resolve, 1000)); // what is applied takes a moment to break the way here

		try {
			return await confirm();
		}
		catch (error) {
			if (Date.now() >= end)
				throw error;
		}
	}
}

function carryOut(change) {
	if (change.op == 'remove')
		return uci.remove(change.config, change.section);

	const section = change.op == 'add' ? uci.add(change.config, change.type, change.name) : change.section;

	for (const [ option, value ] of Object.entries(change.values))
		if (value != null)
			uci.set(change.config, section, option, value);
		else if (change.op == 'set')
			uci.unset(change.config, section, option);
}

return baseclass.extend({
	/** The files as they were read last: {network, firewall, wgp2p}, of each all sections. */
	sections: () => Object.fromEntries(CONFIGS.map(config => [ config, uci.sections(config) ])),

	/** Reads them anew, and gives them. */
	async fresh() {
		uci.unload(CONFIGS);
		await uci.load(CONFIGS);

		return this.sections();
	},

	/** Names of the files of which this login has changes that are saved and not applied. */
	async unsaved() {
		return Object.entries(await uci.changes()).filter(([ , changes ]) => changes.length).map(([ name ]) => name);
	},

	/** Throws an Error when there are such: ours would take them along. */
	async refuseUnsaved() {
		const files = await this.unsaved();

		if (files.length)
			throw new Error(_('There are unsaved changes in %s. Apply or revert them first, with “Unsaved changes” at the top of the page.').format(files.join(', ')));
	},

	/** Writes the changes (see wgp2p.clients and wgp2p.plan; a value `null` is for an option that is to go), and applies
	 * them. Where the router does not confirm that in 30 s it takes them back by itself. Throws an Error that says what
	 * became of them. */
	async apply(changes) {
		changes.forEach(carryOut);

		try {
			await uci.save();
			if ((await this.unsaved()).length) // rpcd has an error for nothing to apply
				await applyAndConfirm();
		}
		catch (error) {
			throw new Error(_('The change is not in force (%s). What is left of it is under “Unsaved changes” at the top of the page: apply or revert it there.').format(error?.message ?? error));
		}
		finally {
			await this.fresh();
		}
	},

	/** Has the running WireGuard take up the peers that network has now. @returns {string} '', or why it has not: the
	 * change itself is in force all the same. */
	async takeUp() {
		try {
			await backend.cliApply();

			return '';
		}
		catch (error) {
			return error.message;
		}
	},

	/** Restarts the interface: all its connections break for some seconds. */
	async restart(name) {
		await down(name);
		await up(name);
	}
});

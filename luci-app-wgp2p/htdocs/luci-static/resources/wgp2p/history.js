'use strict';
'require baseclass';
'require wgp2p.words as words';

/* What the daemon's history says of one client: stretches of time, shares, and both in words. */

const PATHS = { d: 'direct', r: 'relay', t: 'trying', o: 'offline', s: 'static' };
const SLOTS = 96;

/* Always 96 letters, the newest last; what is no letter of the daemon's is "not known". */
function whole(states) {
	return String(states ?? '').slice(-SLOTS).replace(/[^drtos]/g, '-').padStart(SLOTS, '-');
}

return baseclass.extend({
	/** How many slots a strip has. */
	SLOTS,

	/**
	 * The stretches of one path, the oldest first, without the times that nothing is known of.
	 * @param {string} states the letters of ubus `history`; may be missing
	 * @returns {{path: string, start: number, length: number}[]} `start` and `length` in slots
	 */
	segments(states) {
		return [ ...whole(states).matchAll(/([drtos])\1*/g) ]
			.map(found => ({ path: PATHS[found[1]], start: found.index, length: found[0].length }));
	},

	/**
	 * How much of the known time was spent in which path, the longest first.
	 * @param {string} states
	 * @returns {{path: string, percent: number}[]} whole numbers, none below 1
	 */
	shares(states) {
		const known = whole(states).replace(/-/g, '');

		return Object.entries(PATHS)
			.map(([ letter, path ]) => ({ path, count: known.split(letter).length - 1 }))
			.filter(share => share.count > 0)
			.sort((a, b) => b.count - a.count)
			.map(share => ({ path: share.path, percent: Math.max(1, Math.floor(100 * share.count / known.length)) }));
	},

	/**
	 * The shares in words: "direct 80%, relay 20%".
	 * @param {string} states
	 * @returns {string} "not known yet" where there is nothing
	 */
	summary(states) {
		return this.shares(states).map(share => _('%s %d%%').format(words.stateWord(share.path), share.percent)).join(', ')
			|| _('not known yet');
	},

	/**
	 * The whole strip in words, for those who cannot see it.
	 * @param {string} states
	 * @param {string} path what the client is now, as the status has it
	 * @returns {string}
	 */
	sentence(states, path) {
		return _('The last 24 hours: %s; now %s.').format(this.summary(states), words.stateWord(path));
	},

	/**
	 * How long a segment was, and until when: "relay for about 2 h, until 1 h ago".
	 * @param {{path: string, start: number, length: number}} segment
	 * @param {number} slot a slot's length in seconds
	 * @returns {string}
	 */
	when(segment, slot) {
		const word = words.stateWord(segment.path);
		const length = words.age(segment.length * slot);
		const end = SLOTS - segment.start - segment.length;

		return end > 0 ? _('%s for about %s, until %s ago').format(word, length, words.age(end * slot))
			: _('%s for about %s, until now').format(word, length);
	}
});

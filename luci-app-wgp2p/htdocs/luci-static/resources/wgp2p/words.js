'use strict';
'require baseclass';

/* Numbers and names as people read them. */

const UNITS = [ 'B', 'kB', 'MB', 'GB', 'TB', 'PB' ];
const STATES = { direct: _('direct'), relay: _('relay'), trying: _('trying'), offline: _('offline'), static: _('static') };

/* What is not seen, or turns what is around it: controls, formats (bidi overrides, zero widths), halves of a pair. The
 * joiner stays where it joins emoji. */
const UNSEEN = /[\p{Cc}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]|(?!\u200d)\p{Cf}|(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])\u200d/gu;
const STACKED = /(\p{M}{4})\p{M}+/gu;

const codeOf = char => `[U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`;

return baseclass.extend({
	/** How long something has lasted: `12 s`, `12 min`, `1 h 20 min`, `3 d`; `-` where it is not known.
	 * @param {?number} seconds */
	age(seconds) {
		if (!Number.isFinite(seconds) || seconds < 0)
			return '-';

		const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);

		if (minutes < 1)
			return _('%d s').format(Math.floor(seconds));
		if (hours < 1)
			return _('%d min').format(minutes);
		if (hours < 10 && minutes % 60)
			return _('%d h %d min').format(hours, minutes % 60);
		if (hours < 48)
			return _('%d h').format(hours);

		return _('%d d').format(Math.floor(hours / 24));
	},

	/** An amount of data with three digits or so, in steps of 1000: `512 B`, `1.5 MB`; `-` where it is not known.
	 * @param {?number} count bytes */
	bytes(count) {
		if (!Number.isFinite(count) || count < 0)
			return '-';

		let unit = 0;

		for (; count >= (unit ? 999.5 : 1000) && unit < UNITS.length - 1; unit++)
			count /= 1000;

		return `${count.toFixed(unit && count < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
	},

	/** The word for a path of the daemon's status; what is none of them as it is. */
	stateWord(path) {
		return Object.hasOwn(STATES, path) ? STATES[path] : this.visible(path);
	},

	/** A problem as the daemon has it (it begins small, and has no full stop) as a sentence; '' stays ''. */
	sentence(text) {
		return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
	},

	/** A problem as the end of a sentence that has its own full stop. */
	clause(text) {
		return String(text ?? '').replace(/\.$/, '');
	},

	/** Text from the network as it may be shown as text: what would not be seen, or would turn the text around it, has
	 * its code in its place; what is longer than `limit` characters ends with `…`. */
	visible(text, limit = 64) {
		const whole = String(text ?? '');
		const part = whole.slice(0, 2 * limit + 2); // at least limit + 1 characters, of whatever length
		const shown = [ ...part.replace(UNSEEN, codeOf).replace(STACKED, '$1') ];

		return shown.length > limit || part != whole ? `${shown.slice(0, limit - 1).join('')}…` : shown.join('');
	}
});

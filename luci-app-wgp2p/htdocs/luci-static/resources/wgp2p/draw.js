'use strict';
'require baseclass';
'require dom';
'require ui';
'require uqr';
'require wgp2p.words as words';

/* Nodes for the pages. What comes from elsewhere goes in as text and never as HTML: in LuCI a string given as child is
 * HTML, one in an array is text. */

const LABELS = { direct: 'label success', relay: 'label warning', trying: 'label notice' };
const LONG = 1000; // characters of a message
const SAID_MS = 2000, READ_MS = 60000;

/* A page by plain HTTP has no clipboard of its own: there the text must be selected in a field. */
async function copy(text, beside) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text);

	const field = E('textarea', { 'readonly': true, 'style': 'position:fixed; top:0; opacity:0' });

	field.value = text;
	beside.parentNode.insertBefore(field, beside);
	field.select();

	const done = document.execCommand('copy');

	field.remove();
	beside.focus();
	if (!done)
		throw new Error(_('The browser does not let this page copy. Select the text, and copy it by hand.'));
}

return baseclass.extend({
	/** Text from anywhere, kept apart from the direction of the text around it. @param {number} [limit] characters. */
	text(text, limit) {
		return E('bdi', {}, [ words.visible(text, limit) ]);
	},

	/** The word for a path, coloured. */
	label(path) {
		return E('span', { 'class': LABELS[path] ?? 'label' }, [ words.stateWord(path) ]);
	},

	/** Makes `text` the node's text. It is not touched where it is that already, so that what is selected in it stays. */
	setText(node, text) {
		if (node.textContent != text)
			node.textContent = text;
	},

	/** Fills `node` anew with what `children()` gives, but only when `value` (anything that JSON can say) is another one
	 * than the last time: what has not changed keeps its focus. */
	fill(node, value, children) {
		const text = JSON.stringify(value);

		if (node.wgp2pShown == text)
			return;
		node.wgp2pShown = text;
		dom.content(node, children());
	},

	/** A message in the page. @param {string} level notice, warning, error or success. */
	notice(level, text) {
		return E('div', { 'class': `alert-message ${level}` }, [ this.text(text, LONG) ]);
	},

	/** Shows at the top of the page why something did not work. */
	failure(error) {
		const message = error instanceof Error ? error.message : String(error);

		ui.addNotification(null, E('p', {}, [ words.visible(message, LONG) ]), 'error');
	},

	/** A table that is brought up to date in place: a row that stays keeps its nodes, and so focus and tooltips.
	 * @param {Node} node where it goes.
	 * @param {{title: string, update: function(Node, object)}[]} columns `update` fills in the cell of a row, a new one
	 * and each later time.
	 * @returns {{update: function(object[])}} its rows from now on, in their order, each with a `key` of its own. Without
	 * rows it is not shown. */
	table(node, columns) {
		const titled = columns.some(column => column.title);
		const table = E('table', { 'class': 'table' }, titled ? [ E('tr', { 'class': 'tr table-titles' },
			columns.map(column => E('th', { 'class': 'th' }, [ column.title ]))) ] : []);
		const head = table.lastChild;
		const shown = new Map();

		node.appendChild(table);

		return {
			update(rows) {
				const focused = document.activeElement;
				const keys = new Set(rows.map(row => row.key));
				let above = head;

				for (const [ key, tr ] of shown)
					if (!keys.has(key)) {
						tr.remove();
						shown.delete(key);
					}
				for (const row of rows) {
					const tr = shown.get(row.key) ?? E('tr', { 'class': 'tr' }, columns.map(column =>
						E('td', { 'class': 'td', 'data-title': column.title || null })));
					const below = above ? above.nextSibling : table.firstChild;

					shown.set(row.key, tr);
					if (tr != below)
						table.insertBefore(tr, below);
					columns.forEach((column, i) => column.update(tr.children[i], row));
					above = tr;
				}
				table.style.display = rows.length ? '' : 'none';
				if (focused != document.activeElement && table.contains(focused)) // a row that is moved loses it
					focused.focus({ preventScroll: true });
			}
		};
	},

	/** The QR code of a text, black on white with the quiet zone that readers need, as wide as there is room. Throws where
	 * the text is too long for one. */
	qr(text) {
		const node = E('div', { 'style': 'max-width:400px; background:#fff' });

		node.innerHTML = uqr.renderSVG(text, { pixelSize: 4, border: 4, whiteColor: '#fff', blackColor: '#000' }); // nothing of the text is in it

		const svg = node.firstElementChild;

		if (!svg.hasAttribute('viewBox'))
			svg.setAttribute('viewBox', `0 0 ${svg.getAttribute('width')} ${svg.getAttribute('height')}`);
		svg.setAttribute('style', 'display:block; width:100%; height:auto');
		svg.setAttribute('role', 'img');
		svg.setAttribute('aria-label', _('QR code'));

		return node;
	},

	/** Has the browser save a text as a file. */
	download(filename, text) {
		const address = URL.createObjectURL(new Blob([ text ], { type: 'application/octet-stream' })); // as text some add .txt

		E('a', { 'href': address, 'download': filename }).click();
		setTimeout(() => URL.revokeObjectURL(address), READ_MS);
	},

	/** A button that copies what `text()` gives. */
	copyButton(text) {
		const button = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'click': () => copy(text(), button).then(() => {
			this.setText(button, _('Copied'));
			setTimeout(() => this.setText(button, _('Copy')), SAID_MS);
		}, this.failure) }, [ _('Copy') ]);

		return button;
	}
});

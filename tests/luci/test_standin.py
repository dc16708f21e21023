"""The stand-in does what real LuCI does, where the pages depend on it. Every value here is what LuCI's own code gave
for the same expression (master of June 2026, in Chromium); the refusals are those of rpcd and uhttpd."""
import pytest
from browser import Pages

REQUIRE = "L.require('%s').then(%s)"
PUNCH = "L.require('rpc').then(r => r.declare({ object: 'wgp2p', method: 'punch', params: [ 'peer' ]%s })('nobody'))"
REFUSED = ("L.require('rpc').then(r => r.declare({ object: '%s', method: '%s' })())"
           ".catch(e => e.message.split('\\n')[0])")

SAME = [
    # What is HTML, and what is text.
    ("E('td', {}, '<b>x</b>').innerHTML", "<b>x</b>"),
    ("E('td', {}, ['<b>x</b>']).textContent", "<b>x</b>"),
    ("E('td', ['<b>x</b>']).textContent", "<b>x</b>"),
    ("E('td', {}, [ E('i', {}, ['a']), null, undefined, 0, false, '' ]).outerHTML", "<td><i>a</i>0false</td>"),
    ("E('td', {}, null).outerHTML", "<td></td>"),
    ("E('<p>a</p>').outerHTML", "<p>a</p>"),
    ("E('p', E('b')).outerHTML", "<p></p>"),
    ("E('button', { 'disabled': false }, []).outerHTML", '<button disabled="false"></button>'),
    ("E('a', { 'class': 'a', 'disabled': null, 'hidden': undefined, 'title': '<', 'data-x': { y: 1 } }).outerHTML",
     '<a class="a" title="&lt;" data-x="{&quot;y&quot;:1}"></a>'),
    ("(n => (n.append('old'), L.dom.content(n, '<i>new</i>'), n.innerHTML))(E('p'))", "<i>new</i>"),
    ("(n => (n.append('old'), L.dom.append(n, 'new'), n.innerHTML))(E('p'))", "new"),
    (REQUIRE % ("ui", """ui => {
        const modal = ui.showModal('<b>t</b>', [ E('p', {}, [ '<i>' ]) ], 'wide');
        const shown = [ modal.className, modal.innerHTML ];
        ui.hideModal();
        return [ ...shown, modal.innerHTML.length > 0 ];
    }"""), ["modal wide", "<h4><b>t</b></h4><p>&lt;i&gt;</p>", True]),
    (REQUIRE % ("ui", "ui => ui.addNotification('<b>t</b>', [ E('p', {}, [ '<i>x' ]) ]).firstElementChild.innerHTML"),
     "<h4><b>t</b></h4><p>&lt;i&gt;x</p>"),
    (REQUIRE % ("ui", "ui => ui.addNotification('t', '<u>x</u>').firstElementChild.innerHTML"), "<u>x</u>"),
    ("'%s|%d|%5d|%05d|%.2f|%x|%%|%h'.format('<', 3.7, 42, 42, 1.005, 255, '<\"&')",
     "<|3|   42|00042|1.00|ff|%|&#60;&#34;&#38;"),
    # Refusals: without `reject` they resolve.
    (PUNCH % "", {"error": "no such peer"}),
    (PUNCH % ", expect: { '': {} }", {"error": "no such peer"}),
    (PUNCH % ", expect: { peer: '' }", ""),
    ((PUNCH % ", reject: true") + ".catch(e => e.message.split('\\n')[0])",
     "RPC call to wgp2p/punch failed with ubus code 2: Invalid argument"),
    (REFUSED % ("wgp2p", "no"), "RPC call to wgp2p/no failed with error -32002: Access denied"),
    (REFUSED % ("nobody", "x"), "RPC call to nobody/x failed with error -32000: Object not found"),
    # UCI before it is saved.
    (REQUIRE % ("uci", """async uci => {
        await uci.load('wgp2p');
        const made = uci.add('wgp2p', 'peer');
        uci.set('wgp2p', made, 'name', 'x');
        uci.set('wgp2p', 'nosuch', 'a', 'b');
        uci.set('wgp2p', 'main', 'log_level', '');
        return [ uci.get('wgp2p', made, 'name'), uci.get('wgp2p', 'nosuch'), uci.get('wgp2p', made)['.anonymous'],
            uci.sections('wgp2p', 'peer').at(-1).name, uci.get('wgp2p', 'main', 'log_level') ];
    }"""), ["x", None, True, "x", None]),
    # Buttons that wait, polls, classes, the QR code.
    (REQUIRE % ("ui", """async ui => {
        let done;
        const button = E('button', { 'click': ui.createHandlerFn(null, () => new Promise(go => { done = go; })) });
        button.click();
        const before = [ button.disabled, button.className ];
        done();
        await new Promise(resolve => setTimeout(resolve, 20));
        return [ ...before, button.disabled, button.className ];
    }"""), [True, "spinning", False, ""]),
    (REQUIRE % ("poll", "p => { const f = () => {}; return [ p.add(f, 9), p.add(f, 9), p.remove(f), p.remove(f) ]; }"),
     [True, False, True, False]),
    (REQUIRE % ("baseclass", """base => {
        const A = base.extend({ f: x => 'A' + x });
        const B = A.extend({ f: function(x) { return 'B' + this.super('f', [ x ]); } });
        const C = B.extend({ f: function(x) { return 'C' + this.super('f', [ x ]); } });
        return new C().f(1) + new C().f(2);
    }"""), "CBA1CBA2"),
    (REQUIRE % ("uqr", "uqr => uqr.renderSVG('hello', { border: 4 }).slice(0, 63)"),
     '<svg xmlns="http://www.w3.org/2000/svg" width="29" height="29">'),
    (REQUIRE % ("uqr", "uqr => { try { uqr.renderSVG('x'.repeat(5000)); } catch (e) { return e.message; } }"),
     "Data too long"),
    # A form: titles and descriptions are HTML; names of nodes.
    (REQUIRE % ("form", """async form => {
        const map = new form.Map('wgp2p', '<b>t</b>', '<i>d</i>');
        const section = map.section(form.NamedSection, 'main', 'wgp2p', '<u>s</u>');
        section.tab('one', 'One');
        section.tab('two', 'Two');
        section.taboption('one', form.Flag, 'enabled', '<s>e</s>', '<q>h</q>');
        const rate = section.taboption('two', form.Value, 'sweep_rate', 'R');
        rate.datatype = 'range(10,100)';
        const node = await map.render();
        const input = node.querySelector('[data-name=sweep_rate] input');
        const valid = [ '5000', '50' ].map(value => {
            input.value = value;
            [ 'keyup', 'blur' ].forEach(event => input.dispatchEvent(new Event(event)));
            return rate.isValid('main');
        });
        const flag = node.querySelector('.cbi-value[data-name=enabled]');
        return [ node.querySelector('h2').innerHTML, node.querySelector('.cbi-map-descr').innerHTML,
            node.querySelector('h3').innerHTML, flag.id, flag.dataset.field,
            flag.querySelector('.cbi-value-description').innerHTML, valid,
            [ ...node.querySelectorAll('.cbi-tabmenu > li') ].map(item => item.className + ' ' + item.dataset.tab) ];
    }"""), ["<b>t</b>", "<i>d</i>", "<u>s</u>", "cbi-wgp2p-main-enabled", "cbid.wgp2p.main.enabled", "<q>h</q>",
            [False, True], ["cbi-tab one", "cbi-tab-disabled two"]]),
]


@pytest.fixture(scope="module")
def blank(chromium, web):
    """A page in which LuCI's modules can be had."""
    pages = Pages(chromium, web)
    pages.load("busy")
    yield pages.open("clients")
    pages.context.close()


@pytest.mark.parametrize("expression, value", SAME, ids=range(len(SAME)))
def test_as_in_luci(blank, expression, value):
    assert blank.evaluate("() => " + expression) == value

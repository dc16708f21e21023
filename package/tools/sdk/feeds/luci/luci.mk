# Stands in for LuCI's luci.mk, as package.mk for OpenWrt's: an application of the folder it is in, of pages (htdocs) and
# of files for the router (root).
PKG_NAME := $(notdir $(CURDIR))
include $(INCLUDE_DIR)/package.mk

define Package/$(PKG_NAME)
  SECTION := luci
  CATEGORY := LuCI
  TITLE := $(LUCI_TITLE)
  DEPENDS := $(LUCI_DEPENDS)
  PKGARCH := all
endef

Package/$(PKG_NAME)/description := $(LUCI_TITLE)

define Package/$(PKG_NAME)/install
	$(INSTALL_DIR) $(1)/www
	cp -R ./htdocs/. $(1)/www
	cp -R ./root/. $(1)
	chmod -R u=rwX,go=rX $(1)
endef

# The menu and its views are cached, and rpcd reads who may do what when it starts.
define Package/$(PKG_NAME)/postinst
[ -n "$${IPKG_INSTROOT}" ] || {
	rm -f /tmp/luci-indexcache*
	rm -rf /tmp/luci-modulecache/
	[ ! -x /etc/init.d/rpcd ] || /etc/init.d/rpcd reload
}
exit 0
endef

$(eval $(call BuildPackage,$(PKG_NAME)))

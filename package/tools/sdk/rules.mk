# Stands in for OpenWrt's rules.mk when a package is built without OpenWrt (package/tools/ipk): what install recipes use.
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600

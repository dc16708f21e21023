# Stands in for OpenWrt's package.mk when a package is built without OpenWrt (package/tools/ipk): the package's own
# Makefile is read, and its own recipes run. It knows what packages of this project use, and no more: one package in a
# Makefile, for every machine, no variants, sources in the project.
#
# What it writes into the folder OUT:
#   data/         what Package/x/install puts on the router
#   control/      the file control, and the scripts that the package defines, under the names that OpenWrt gives them
#   conffiles, description    as the Makefile has them
#   build/        PKG_BUILD_DIR
PKG_BUILD_DIR := $(OUT)/build
STAGING_DIR := $(OUT)/none

comma := ,
empty :=
space := $(empty) $(empty)

# A dependency is written +NAME, and everything depends on libc. Only one with files of its own has a user.
define Control
Package: $(1)
Version: $(PKG_VERSION)-r$(PKG_RELEASE)
Depends: $(subst $(space),$(comma)$(space),libc $(patsubst +%,%,$(strip $(DEPENDS))))
Source: package/$(1)
SourceName: $(PKG_NAME)
License: $(PKG_LICENSE)
Section: $(SECTION)
$(if $(USERID),Require-User: $(USERID)
)Maintainer: $(PKG_MAINTAINER)
Architecture: $(PKGARCH)
endef

# 1: package, 2: what it may define, 3: the file for it
define Part
$(if $(Package/$(1)/$(2)),$(file >$(OUT)/$(3),$(Package/$(1)/$(2))))
endef

define BuildPackage
$(eval $(Package/$(1)))
$(file >$(OUT)/control/control,$(call Control,$(1)))
$(call Part,$(1),description,description)
$(call Part,$(1),conffiles,conffiles)
$(call Part,$(1),preinst,control/preinst)
$(call Part,$(1),postinst,control/postinst-pkg)
$(call Part,$(1),prerm,control/prerm-pkg)
$(call Part,$(1),postrm,control/postrm)
.PHONY: package
package:
	$(Build/Compile)
	$(call Package/$(1)/install,$(OUT)/data)
endef

.DEFAULT_GOAL := package

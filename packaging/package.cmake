# `cmake --install` and `cpack`: what goes where on a Debian system.
include(GNUInstallDirs)
# What is installed is what has been built: a package needs no tests.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
find_program(GZIP gzip REQUIRED)

set(here ${CMAKE_SOURCE_DIR}/packaging)
install(TARGETS limpet RUNTIME DESTINATION sbin)
install(FILES ${here}/limpet.conf ${here}/mime.types DESTINATION /etc/limpet)
install(FILES ${here}/default-site.conf DESTINATION /etc/limpet/conf.d RENAME default.conf)
install(FILES ${here}/logrotate/limpet DESTINATION /etc/logrotate.d)
install(FILES ${here}/systemd/limpet.service ${here}/systemd/limpet.socket DESTINATION /lib/systemd/system)
install(FILES ${here}/completion/limpet DESTINATION share/bash-completion/completions)
install(FILES ${here}/ALERTS.md ${here}/CLUSTER.md ${CMAKE_SOURCE_DIR}/conf/DIRECTIVES.md
              ${CMAKE_SOURCE_DIR}/docs/recipes.md DESTINATION share/doc/limpet)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/MIGRATING.md DESTINATION share/doc/limpet)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs DESTINATION share/doc/limpet)
install(FILES ${here}/deb/copyright DESTINATION share/doc/limpet)
install(FILES ${here}/app.conf DESTINATION share/doc/limpet/examples)
install(DIRECTORY ${here}/welcome DESTINATION share/limpet)
install(DIRECTORY ${here}/alerts ${here}/grafana DESTINATION share/doc/limpet)

# Debian's policy: manual pages are compressed. limpet.conf(5) is made of the tables of directives and variables.
find_program(LIMPET_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
set(conf_page ${CMAKE_BINARY_DIR}/limpet.conf.5)
execute_process(COMMAND ${LIMPET_PYTHON} -B ${here}/man/conf_page.py OUTPUT_FILE ${conf_page} COMMAND_ERROR_IS_FATAL ANY)
foreach(page ${here}/man/limpet.8 ${conf_page})
  get_filename_component(name ${page} NAME)
  string(REGEX REPLACE ".*\\." "" section ${name})
  execute_process(COMMAND ${GZIP} -9nc ${page} OUTPUT_FILE ${CMAKE_BINARY_DIR}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.gz DESTINATION share/man/man${section})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${here}/man/limpet.8 ${here}/man/conf_page.py
  ${here}/app.conf ${CMAKE_SOURCE_DIR}/conf/DIRECTIVES.md ${CMAKE_SOURCE_DIR}/docs/variables.md)

# Debian 12 has systemd 252, which needs a drop-in.
set(release "")
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^VERSION_ID=\"?12\"?$")
endif()
if(release)
  install(FILES ${here}/systemd/systemd-252.conf DESTINATION /lib/systemd/system/limpet.service.d)
endif()

set(CPACK_DEBIAN_PACKAGE_MAINTAINER "limpet maintainers <maintainers@limpet.invalid>" CACHE STRING "Of the Debian package")
set(changelog ${CMAKE_BINARY_DIR}/changelog)
execute_process(COMMAND ${LIMPET_PYTHON} -B ${here}/deb/changelog.py limpet "${CPACK_DEBIAN_PACKAGE_MAINTAINER}"
                OUTPUT_FILE ${changelog} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${GZIP} -9nc ${changelog} OUTPUT_FILE ${changelog}.gz COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${here}/deb/changelog.py)
install(FILES ${changelog}.gz DESTINATION share/doc/limpet)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME limpet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${CPACK_DEBIAN_PACKAGE_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy and load balancer with sticky sessions")
set(CPACK_PACKAGE_DESCRIPTION "limpet reads nginx's configuration language, runs as one master and several
workers, and remembers in shared memory which server serves which client
session: over reloads, crashes, restarts and, with Redis, on several machines.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "logrotate")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${here}/deb/postinst;${here}/deb/prerm;${here}/deb/postrm;${here}/deb/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

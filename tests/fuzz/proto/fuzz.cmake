foreach(target request response chunked proxy_protocol)
  limpet_fuzz(fuzz_${target} SOURCES proto/fuzz_${target}.cc DEPS limpet_proto)
endforeach()

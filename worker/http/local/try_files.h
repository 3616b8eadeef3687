// try_files: the first file that is there.
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::worker {

Step TryFilesStep(Exchange& exchange);

}  // namespace limpet::worker

// What a kernel file may include and finds already there.
#pragma once

#include "emu.h"

// EXPECT_ERROR(statement, ExitCode::kIo, matcher of the message): the statement throws that vqcodec::Error.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

#define EXPECT_ERROR(statement, expected_code, message_matcher)                                     \
  do {                                                                                              \
    try {                                                                                           \
      statement;                                                                                    \
      ADD_FAILURE() << "no error from " #statement;                                                 \
    } catch (const ::vqcodec::Error& caught) {                                                      \
      EXPECT_EQ(static_cast<int>(caught.code()), static_cast<int>(expected_code)) << caught.what(); \
      EXPECT_THAT(caught.what(), message_matcher);                                                  \
    }                                                                                               \
  } while (false)

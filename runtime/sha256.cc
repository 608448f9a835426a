#include "runtime/sha256.h"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include "base/error.h"

namespace vqcodec::runtime {
namespace {

class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(const void* data, std::size_t size) { check(EVP_DigestUpdate(context_.get(), data, size) == 1); }
  Sha256 finish() {
    Sha256 digest;
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1 && size == digest.size());
    return digest;
  }

 private:
  static void check(bool ok) {
    if (!ok) throw Error(ExitCode::kInternal, "OpenSSL cannot compute SHA-256");
  }
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

Sha256 sha256(std::span<const std::byte> bytes) {
  Hasher hasher;
  hasher.add(bytes.data(), bytes.size());
  return hasher.finish();
}

Sha256 sha256_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ExitCode::kIo, path.string() + ": cannot be opened");
  Hasher hasher;
  std::vector<char> block(std::size_t{1} << 16);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    hasher.add(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.eof()) throw Error(ExitCode::kIo, path.string() + ": cannot be read");
  return hasher.finish();
}

std::string to_hex(const Sha256& digest) {
  std::string text;
  for (uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string hex_digest(std::string_view text) { return to_hex(sha256(std::as_bytes(std::span(text)))); }

}  // namespace vqcodec::runtime

import DormouseCache
import DormouseKernels
import DormouseSupport
import Glibc

/// Input: the file of a saved session, read as it is and once more with its checksums put right.
///
/// What is accepted must be usable: ids of the vocabulary, finite logits, rows that attention can read, and a file of
/// exactly the size that its header tells. What is refused leaves no page behind.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSnapshot(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  var bytes = Array(UnsafeBufferPointer(start: data, count: size))
  check(bytes)
  repairChecksums(&bytes)
  check(bytes)
  return 0
}

/// The model of `snapshot.py`, with rows of each type.
private let pools: [PagePool] = CacheRowType.allCases.compactMap { type in
  guard let layout = try? PageLayout(layerCount: 2, kvLoraRank: 3, qkRopeHeadDimension: 2, rowType: type),
    let kernels = try? Kernels.selected()
  else { return nil }
  return PagePool(layout: layout, kernels: kernels, budget: MemoryBudget(limit: 1 << 16, name: "the fuzzer's budget"))
}
private let identity = SnapshotIdentity(bytes: Array("model 1".utf8), description: "the model of the corpus")
private let (capacity, vocabularySize) = (200, 16)

/// A file without a name, which has a path all the same and goes with the process.
private let descriptor: Int32 = {
  var name = Array("/tmp/dormouse-fuzz-XXXXXX".utf8CString)
  let descriptor = mkstemp(&name)
  unlink(name)
  return descriptor
}()

private func check(_ bytes: [UInt8]) {
  precondition(pools.count == 3 && ftruncate(descriptor, off_t(bytes.count)) == 0)
  precondition(pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
  let pool = pools[bytes.count > 16 ? Int(bytes[16] % 3) : 0]
  do throws(Failure) {
    let (snapshot, cache) = try Snapshot.read(
      path: "/proc/self/fd/\(descriptor)", pool: pool, capacity: capacity, identity: identity,
      vocabularySize: vocabularySize)
    precondition(snapshot.keys.count <= capacity && cache.length <= snapshot.keys.count)
    precondition(snapshot.keys.allSatisfy { $0.isContent || $0.value < vocabularySize })
    if let logits = snapshot.logits {
      precondition(logits.count == vocabularySize && logits.allSatisfy { $0.isFinite })
    }
    checkSize(bytes, snapshot, cache)
    attend(cache)
  } catch { checkSentence(error) }
  precondition(pool.statistics.used == 0 && pool.statistics.shared == 0)
}

private func checkSize(_ bytes: [UInt8], _ snapshot: Snapshot, _ cache: LatentCache) {
  let texts = identity.bytes.count + number(bytes, 80)
  let keys = snapshot.keys.count * (bytes[20] == 0 ? 4 : 8)
  let front = texts + keys + 4 * (snapshot.logits?.count ?? 0) + formsSize(bytes) + 16 * ((cache.length + 63) / 64)
  precondition(bytes.count == 104 + front + cache.length * cache.layout.positionByteCount)
}

/// Bytes of the runs of forms that the header tells of.
private func formsSize(_ bytes: [UInt8]) -> Int { 16 * (Int(bytes[22]) | Int(bytes[23]) << 8) }

private func attend(_ cache: LatentCache) {
  guard cache.length > 0 else { return }
  for layer in 0..<2 {
    var out: [Float] = [0, 0, 0]
    guard let rows = cache.rows(section: layer) else { preconditionFailure("no rows of layer \(layer)") }
    cache.pool.kernels.attendLatent(
      query: [1, 2, 3, 4, 5], heads: 1, rows: rows, count: cache.length, scale: 1, into: &out)
  }
}

/// Puts the checksums right where the parts that the header tells are there.
private func repairChecksums(_ bytes: inout [UInt8]) {
  guard bytes.count >= 104 else { return }
  let (rows, rowSize) = (number(bytes, 56), [20, 10, 11][Int(bytes[16] % 3)])
  let pages = min((rows + 63) / 64, 4)
  let checksums =
    104 + number(bytes, 72) + number(bytes, 80) + 4 * (number(bytes, 48) + number(bytes, 64)) + formsSize(bytes)
  var start = checksums + 16 * pages
  let end = start
  for block in 0..<2 * pages {
    let count = rowSize * min(64, rows - block / 2 * 64)
    guard start + count <= bytes.count else { break }
    put(XXHash64.hash(Array(bytes[start..<start + count])), checksums + 8 * block, &bytes)
    start += count
  }
  if end <= bytes.count { put(XXHash64.hash(Array(bytes[104..<end])), 88, &bytes) }
  put(XXHash64.hash(Array(bytes[..<96])), 96, &bytes)
}

/// A number of the header, small enough for sums.
private func number(_ bytes: [UInt8], _ offset: Int) -> Int {
  Int(clamping: bytes[offset..<offset + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }) & 0xFFFF_FFFF
}

private func put(_ number: UInt64, _ offset: Int, _ bytes: inout [UInt8]) {
  for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
}

/// The sentence must say something, and must not hold control characters that the file chose.
private func checkSentence(_ failure: Failure) {
  precondition([.malformed, .unsupported, .contextFull].contains(failure.status), failure.message)
  precondition(failure.message.utf8.count > 20 && !failure.message.utf8.contains { $0 < 0x20 }, failure.message)
}

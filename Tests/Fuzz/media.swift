import CDormouseMedia

/// Input: a media file of any kind.
///
/// What is accepted must hold together: as many timestamps as frames, ascending; frames of the size that comes with
/// them; samples that are finite or as the file has them, no more than the limit of seconds allows. What is refused has
/// a status and a sentence, and nothing is left behind. FFmpeg itself is not instrumented: the inputs' ways through
/// this library are explored, and FFmpeg's memory is watched by the allocator alone.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMedia(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  var options = dormouse_media_options()
  dormouse_media_options_init(&options)
  options.pixel_limit = 1 << 16
  options.frame_limit = 256
  options.output_limit = 16 << 20
  options.second_limit = 30
  options.time_limit = 1
  var file: OpaquePointer?
  guard succeeded({ dormouse_media_open_bytes(&file, data, size, &options, $0) }) else { return 0 }
  examine(file)
  hear(file)
  dormouse_media_free(file)
  return 0
}

private func examine(_ file: OpaquePointer?) {
  var info = dormouse_media_info()
  info.struct_size = UInt32(MemoryLayout<dormouse_media_info>.size)
  guard succeeded({ dormouse_media_describe(&info, file, $0) }) else { return }
  precondition(info.frame_count <= 256 && info.frame_rate >= 0 && info.duration >= 0 && info.audio_duration >= 0)
  guard info.frame_count > 0 else { return precondition(info.width == 0 && info.height == 0) }
  precondition(info.width > 0 && Int(info.width) * Int(info.height) <= 1 << 16)
  var timestamps = [Double](repeating: -1, count: Int(info.frame_count))
  var count = 0
  precondition(succeeded { dormouse_media_timestamps(&timestamps, timestamps.count, &count, file, $0) })
  precondition(count == timestamps.count && timestamps[0] == 0)
  precondition(zip(timestamps, timestamps.dropFirst()).allSatisfy { $0 <= $1 })
  let middle = info.frame_count / 2
  for indices in [middle == 0 ? [0] : [0, middle], [info.frame_count - 1], [0]] {
    _ = succeeded { dormouse_media_frames(file, indices, indices.count, look, nil, $0) }
  }
}

/// Reads every pixel, so that AddressSanitizer sees where they are.
private func look(
  _ context: UnsafeMutableRawPointer?, _ index: UInt64, _ seconds: Double, _ pixels: UnsafePointer<UInt8>?,
  _ width: UInt32, _ height: UInt32
) -> Int32 {
  let bytes = UnsafeBufferPointer(start: pixels, count: Int(width) * Int(height) * 3)
  precondition(width > 0 && height > 0 && bytes.reduce(0) { $0 &+ Int($1) } >= 0)
  return 0
}

private func hear(_ file: OpaquePointer?) {
  for rate: UInt32 in [16000, 0] {
    var sampleCount = 0
    let isWhole = succeeded { error in
      withUnsafeMutablePointer(to: &sampleCount) { dormouse_media_samples(file, rate, listen, $0, error) }
    }
    precondition(!isWhole || rate == 0 || sampleCount <= 31 * 16000)
  }
}

private func listen(_ context: UnsafeMutableRawPointer?, _ samples: UnsafePointer<Float>?, _ count: Int) -> Int32 {
  guard let total = context?.assumingMemoryBound(to: Int.self) else { return 1 }
  total.pointee += count
  _ = UnsafeBufferPointer(start: samples, count: count).reduce(0, +)
  return 0
}

/// Whether the call is done; else it must say why, in a sentence without control characters of the file's.
private func succeeded(_ call: (UnsafeMutablePointer<dormouse_error>) -> dormouse_status) -> Bool {
  var error = dormouse_error()
  error.struct_size = UInt32(MemoryLayout<dormouse_error>.size)
  let status = call(&error)
  if status == 0 { return true }
  let message = withUnsafeBytes(of: &error.message) { Array($0.prefix { $0 != 0 }) }
  precondition(status < 0 && error.status == status && message.count > 10 && message.allSatisfy { $0 >= 0x20 })
  let known: [Int] = [
    DORMOUSE_ERROR_MALFORMED, DORMOUSE_ERROR_UNSUPPORTED, DORMOUSE_ERROR_TIMED_OUT, DORMOUSE_ERROR_OUT_OF_MEMORY,
  ].map { Int($0) }
  precondition(known.contains(Int(status)), String(decoding: message, as: UTF8.self))
  return false
}

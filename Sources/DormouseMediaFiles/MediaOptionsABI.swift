import CDormouseMedia
import DormouseBoundary
import DormouseSupport

/// The caller's options, checked.
/// - Parameter name: what the file is called where the options have no name for it.
func readWatch(_ pointer: UnsafePointer<dormouse_media_options>?, name: String) throws(Failure) -> MediaWatch {
  let options = try readStruct(pointer, zero: dormouse_media_options(), name: "dormouse_media_options")
  return MediaWatch(
    name: try readOptionalString(options.name, "dormouse_media_options.name") ?? name,
    limits: try readLimits(options), isCancelled: options.is_cancelled, userData: options.cancel_user_data)
}

private func readLimits(_ options: dormouse_media_options) throws(Failure) -> MediaLimits {
  var limits = MediaLimits()
  func number(_ value: UInt64, _ name: String, most: Int, default standard: Int) throws(Failure) -> Int {
    guard value <= UInt64(most) else {
      throw Failure(.invalidArgument, "dormouse_media_options.\(name) is \(value), more than \(most)")
    }
    return value == 0 ? standard : Int(value)
  }
  func seconds(_ value: Double, _ name: String, default standard: Double) throws(Failure) -> Double {
    guard value >= 0, value.isFinite else {
      throw Failure(.invalidArgument, "dormouse_media_options.\(name) is \(value), not a number of seconds")
    }
    return value == 0 ? standard : value
  }
  limits.threadCount = try number(
    UInt64(options.thread_count), "thread_count", most: MediaLimits.largestThreadCount, default: limits.threadCount)
  limits.byteLimit = try number(options.byte_limit, "byte_limit", most: .max, default: limits.byteLimit)
  limits.pixelLimit = try number(
    options.pixel_limit, "pixel_limit", most: MediaLimits.largestPixelLimit, default: limits.pixelLimit)
  limits.frameLimit = try number(options.frame_limit, "frame_limit", most: .max, default: limits.frameLimit)
  limits.outputLimit = try number(options.output_limit, "output_limit", most: .max, default: limits.outputLimit)
  limits.secondLimit = try seconds(options.second_limit, "second_limit", default: limits.secondLimit)
  limits.timeLimit = try seconds(options.time_limit, "time_limit", default: limits.timeLimit)
  return limits
}

/// What `dormouse_media_describe` tells.
func describe(_ summary: OpenMediaFile.Summary) -> dormouse_media_info {
  var info = dormouse_media_info()
  if let frames = summary.frames {
    let count = frames.timestamps.count
    info.width = UInt32(frames.size.width)
    info.height = UInt32(frames.size.height)
    info.frame_count = UInt64(count)
    info.duration = frames.duration
    info.frame_rate = frames.duration > 0 ? Double(count) / frames.duration : 0
  }
  info.channel_count = UInt32(clamping: summary.audio?.channelCount ?? 0)
  info.sample_rate = UInt32(clamping: summary.audio?.sampleRate ?? 0)
  info.audio_duration = summary.audioSeconds
  withUnsafeMutableBytes(of: &info.format) { $0.dropLast().copyBytes(from: summary.format.utf8.prefix($0.count - 1)) }
  return info
}

/// Fills the caller's struct as far as its size goes.
func write(_ info: dormouse_media_info, to pointer: UnsafeMutablePointer<dormouse_media_info>) throws(Failure) {
  let size = pointer.pointee.struct_size
  guard size >= MemoryLayout<UInt32>.size else {
    throw Failure(.invalidArgument, "dormouse_media_info: struct_size is \(size)")
  }
  var info = info
  info.struct_size = size
  withUnsafeBytes(of: &info) {
    UnsafeMutableRawPointer(pointer).copyMemory(
      from: $0.baseAddress ?? UnsafeRawPointer(pointer), byteCount: min(Int(size), $0.count))
  }
}

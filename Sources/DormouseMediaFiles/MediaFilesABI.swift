import CDormouseMedia
import DormouseBoundary
import DormouseSupport

@_cdecl("dormouse_media_version_number") @implementation
public func dormouse_media_version_number() -> UInt32 {
  UInt32(DORMOUSE_MEDIA_VERSION_MAJOR) * 1000 + UInt32(DORMOUSE_MEDIA_VERSION_MINOR)
}

@_cdecl("dormouse_media_options_init") @implementation
public func dormouse_media_options_init(_ options: UnsafeMutablePointer<dormouse_media_options>!) {
  guard let options else { return }
  options.initialize(to: dormouse_media_options())
  options.pointee.struct_size = UInt32(MemoryLayout<dormouse_media_options>.size)
}

@_cdecl("dormouse_media_open_path") @implementation
public func dormouse_media_open_path(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ path: UnsafePointer<CChar>!,
  _ options: UnsafePointer<dormouse_media_options>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out as UnsafeMutablePointer<OpaquePointer?>?, "out")
    out.pointee = nil
    let path = try readString(path, "path")
    let watch = try readWatch(options, name: path)
    out.pointee = Handle.make(try OpenMediaFile(.file(try File(path: path, name: watch.name)), watch: watch))
  }
}

@_cdecl("dormouse_media_open_bytes") @implementation
public func dormouse_media_open_bytes(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ bytes: UnsafePointer<UInt8>!, _ byte_count: Int,
  _ options: UnsafePointer<dormouse_media_options>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out as UnsafeMutablePointer<OpaquePointer?>?, "out")
    out.pointee = nil
    let bytes = try readArray(bytes, byte_count, "bytes")
    let watch = try readWatch(options, name: "the media data")
    out.pointee = Handle.make(try OpenMediaFile(.memory(UnsafeRawBufferPointer(bytes)), watch: watch))
  }
}

@_cdecl("dormouse_media_free") @implementation
public func dormouse_media_free(_ file: OpaquePointer!) { Handle.free(file) }

@_cdecl("dormouse_media_describe") @implementation
public func dormouse_media_describe(
  _ info: UnsafeMutablePointer<dormouse_media_info>!, _ file: OpaquePointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let info = try require(info as UnsafeMutablePointer<dormouse_media_info>?, "info")
    let summary = try working(on: file) { (file) throws(Failure) in try file.summary() }
    try write(describe(summary), to: info)
  }
}

@_cdecl("dormouse_media_timestamps") @implementation
public func dormouse_media_timestamps(
  _ seconds: UnsafeMutablePointer<Double>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ file: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let timestamps = try working(on: file) { (file) throws(Failure) in try file.frames().timestamps }
    try deliver(timestamps, seconds, capacity, count, "the timestamps")
  }
}

@_cdecl("dormouse_media_frames") @implementation
public func dormouse_media_frames(
  _ file: OpaquePointer!, _ indices: UnsafePointer<UInt64>!, _ index_count: Int, _ frame: dormouse_media_frame_fn!,
  _ user_data: UnsafeMutableRawPointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let receive = try require(frame as dormouse_media_frame_fn?, "frame")
    let indices = try readArray(indices, index_count, "indices")
    var status = Status.ok.rawValue
    try working(on: file) { (file) throws(Failure) in
      try file.decode(indices) { (index, seconds, frame) throws(Failure) in
        status = receive(
          user_data, UInt64(index), seconds, frame.pixels.baseAddress, UInt32(frame.width), UInt32(frame.height))
        return status == Status.ok.rawValue
      }
    }
    return status
  }
}

@_cdecl("dormouse_media_samples") @implementation
public func dormouse_media_samples(
  _ file: OpaquePointer!, _ sample_rate: UInt32, _ samples: dormouse_media_samples_fn!,
  _ user_data: UnsafeMutableRawPointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  returningBoundary(error) { () throws(Failure) in
    let receive = try require(samples as dormouse_media_samples_fn?, "samples")
    let rates = SampleRateConverter.outputRates
    guard let rate = Int32(exactly: sample_rate), rate == 0 || rates.contains(rate) else {
      throw Failure(
        .invalidArgument, "sample_rate is \(sample_rate); expected \(rates.lowerBound) to \(rates.upperBound), or 0")
    }
    var status = Status.ok.rawValue
    try working(on: file) { (file) throws(Failure) in
      try file.samples(rate: rate) { (samples) throws(Failure) in
        status = receive(user_data, samples.baseAddress, samples.count)
        return status == Status.ok.rawValue
      }
    }
    return status
  }
}

/// Works on the file behind a handle; its time counts from now.
private func working<Result>(
  on handle: OpaquePointer?, _ work: (OpenMediaFile) throws(Failure) -> Result
) throws(Failure) -> Result {
  let file = try Handle.object(handle, OpenMediaFile.self, "file")
  file.begin()
  return try QuietLog.during { () throws(Failure) in try work(file) }
}

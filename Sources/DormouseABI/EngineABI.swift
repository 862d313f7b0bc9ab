import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseSupport

@_cdecl("dormouse_engine_open") @implementation
public func dormouse_engine_open(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ model_path: UnsafePointer<CChar>!,
  _ options: UnsafePointer<dormouse_engine_options>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let path = try readString(model_path, "model_path")
    let options = try readStruct(options, zero: dormouse_engine_options(), name: "dormouse_engine_options")
    out.pointee = Handle.make(try Engine(path: path, options: try EngineOptions(options)))
  }
}

@_cdecl("dormouse_engine_free") @implementation
public func dormouse_engine_free(_ engine: OpaquePointer!) {
  Handle.free(engine)
}

@_cdecl("dormouse_engine_info") @implementation
public func dormouse_engine_info(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    try deliver(text: Array(try engine.info().text().utf8), buffer, capacity, length)
  }
}

@_cdecl("dormouse_engine_statistics") @implementation
public func dormouse_engine_statistics(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    try deliver(text: Array(try engine.statistics().text().utf8), buffer, capacity, length)
  }
}

@_cdecl("dormouse_engine_plan") @implementation
public func dormouse_engine_plan(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ engine: OpaquePointer!, _ options: UnsafePointer<dormouse_session_options>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let engine = try Handle.object(engine, Engine.self, "engine")
    let options = try readStruct(options, zero: dormouse_session_options(), name: "dormouse_session_options")
    let plan = try engine.plan(for: try SessionOptions(options))
    try deliver(text: Array(plan.json.text().utf8), buffer, capacity, length)
  }
}

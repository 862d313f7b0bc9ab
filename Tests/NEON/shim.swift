// The kernels of one instruction set, compiled together with them, for C: what Tests/NEON/driver.c calls.
public import CPlatform

@_cdecl("get_kernels") public func getKernels(_ table: UnsafeMutablePointer<platform_kernels>) {
  table.initialize(to: kernels())
}

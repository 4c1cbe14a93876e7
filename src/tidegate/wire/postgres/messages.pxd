"""Message limits and the builders that compiled code calls."""

cdef enum:
    HEADER = 5  # bytes: type and length
    LARGEST = 0x40000000  # bytes a message may announce: PostgreSQL's own limit of 1 GB

cpdef bytes message(int kind, bytes body)
cpdef bytes query(bytes sql)
cpdef bytes parse(bytes name, bytes sql, bytes types)
cpdef bytes bind(bytes portal, bytes statement)
cpdef bytes close_statement(bytes name)
cpdef bytes describe_statement(bytes name)
cpdef bytes command_complete(bytes tag)
cpdef bytes ready_for_query(int status)
cpdef bytes parameter_status(bytes name, bytes value)
cpdef bytes error_response(object error)
cpdef object parse_error(bytes body)
cpdef list parse_data_row(bytes body)
cpdef bytes row_shape(bytes body)
cdef bytes bound_value(const char* body, Py_ssize_t size, int number)

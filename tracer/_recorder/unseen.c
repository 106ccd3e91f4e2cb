/* Functions that stand in for some of the interpreter's, and are seen neither by tracing nor by profiling. */

#include "recorder.h"

/* Call what `choose` says: a method of the module that the function is bound to, given its arguments. */
static PyObject *
call_chosen(PyObject *self, PyObject *args, PyObject *keywords)
{
    PyObject *choose = PyDict_GetItemString(PyModule_GetDict(self), "choose"); /* borrowed */
    PyObject *given = keywords == NULL ? PyDict_New() : Py_NewRef(keywords);
    if (choose == NULL || given == NULL) {
        Py_XDECREF(given);
        return NULL;
    }
    PyThreadState *thread = PyThreadState_Get();
    enter_tracing(thread);
    PyObject *chosen = PyObject_CallFunctionObjArgs(choose, args, given, NULL);
    leave_tracing(thread);
    Py_DECREF(given);
    PyObject *function, *its_args, *its_keywords, *result = NULL;
    if (chosen != NULL && PyArg_ParseTuple(chosen, "OO!O!", &function, &PyTuple_Type, &its_args, &PyDict_Type, &its_keywords)) {
        result = PyObject_Call(function, its_args, its_keywords);
    }
    Py_XDECREF(chosen);
    return result;
}

/* A function that looks like another one of C, of a module, and calls what is chosen. It is there for good. */
PyObject *
stand_in(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *real, *choose;
    if (!PyArg_ParseTuple(args, "O!O", &PyCFunction_Type, &real, &choose)) {
        return NULL;
    }
    PyCFunctionObject *model = (PyCFunctionObject *)real;
    PyObject *name = PyObject_GetAttrString(model->m_self == NULL ? real : model->m_self, "__name__");
    PyObject *self = name == NULL ? NULL : PyModule_NewObject(name);
    Py_XDECREF(name);
    PyMethodDef *definition = self == NULL ? NULL : PyMem_Malloc(sizeof(*definition));
    if (definition == NULL || PyModule_AddObjectRef(self, "choose", choose) < 0) {
        PyMem_Free(definition);
        Py_XDECREF(self);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    PyObject *spec = model->m_self == NULL ? NULL : PyObject_GetAttrString(model->m_self, "__spec__");
    if (spec == NULL || PyObject_SetAttrString(self, "__spec__", spec) < 0) {
        PyErr_Clear(); /* it only makes the module's `repr` what it is */
    }
    Py_XDECREF(spec);
    *definition = *model->m_ml;
    definition->ml_meth = (PyCFunction)(void (*)(void))call_chosen;
    definition->ml_flags = METH_VARARGS | METH_KEYWORDS;
    PyObject *made = PyCFunction_NewEx(definition, self, model->m_module);
    Py_DECREF(self);
    return made;
}
